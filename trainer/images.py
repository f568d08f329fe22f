"""From encoded images to model input: the only code that decodes, crops and resizes.

Checks, training, evaluation and serving all go through these functions inside the TensorFlow graph,
so that they cannot preprocess differently.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import tensorflow as tf

from trainer import bitmaps, headers, orientation
from trainer.features import MOST_PIXELS

# The scales at which libjpeg decodes. It computes fewer pixels then, and each is a mean.
_RATIOS = (1, 2, 4, 8)


def decode(
    encoded: tf.Tensor, max_pixels: int = MOST_PIXELS, least: int | None = None
) -> tf.Tensor:
    """Decodes one image and turns it upright, as EXIF asks.

    Args:
        encoded: the bytes of a JPEG, PNG, GIF (its first frame) or BMP, scalar string.
        max_pixels: most pixels of an image; a larger one is refused undecoded.
        least: a large JPEG is decoded at 1/2, 1/4 or 1/8 of its size, as long as the shorter side
            keeps this many pixels. None decodes every image at its size.

    Returns:
        uint8 [height, width, 3], RGB. Grey images are repeated over the channels, an alpha channel
        is dropped.

    Raises:
        tf.errors.InvalidArgumentError: when the graph runs, on an image that cannot be decoded, is
            too large, or is of a kind that TensorFlow would decode wrongly.
    """
    return orientation.turn(_stored(encoded, max_pixels, least), orientation.of(encoded))


def square(encoded: tf.Tensor, size: int, crop: float, max_pixels: int = MOST_PIXELS) -> tf.Tensor:
    """Decodes one image, cuts its central square and scales it.

    `decode` explains `encoded` and `max_pixels`, `crop_and_resize` the rest and the result.
    """
    stored = _stored(encoded, max_pixels, _needed(size, crop))
    turn = orientation.of(encoded)
    # Turned last, when the image is small.
    upright = orientation.turn(_cut(stored, size, crop, orientation.flips(turn)), turn)
    return tf.ensure_shape(upright, [size, size, 3])


def load(encoded: tf.Tensor, size: int, crop: float, max_pixels: int = MOST_PIXELS) -> tf.Tensor:
    """Applies `square` to a batch, one image at a time so that sizes may differ.

    From string [batch] to float32 [batch, size, size, 3] in [0, 255].
    """
    result = tf.TensorSpec([size, size, 3], tf.float32)
    return tf.map_fn(
        lambda one: square(one, size, crop, max_pixels), encoded, fn_output_signature=result
    )


def crop_and_resize(image: tf.Tensor, size: int, crop: float) -> tf.Tensor:
    """Cuts the central square of an upright picture and scales it.

    Growing is bicubic. A pixel of a picture that shrinks is the mean of its area.

    Args:
        image: uint8 or float [height, width, 3].
        size: side of the result in pixels.
        crop: side of the square as a share of the image's shorter side, in (0, 1].

    Returns:
        float32 [size, size, 3] in [0, 255]; bicubic overshoot is clipped.
    """
    return _cut(image, size, crop, tf.constant([0, 0]))


def load_random_part(
    encoded: tf.Tensor, size: int, area: float, seed: tf.Tensor, max_pixels: int = MOST_PIXELS
) -> tf.Tensor:
    """Decodes and resizes a random part of one image; of a JPEG, it decodes only that part.

    This is for training only. At the edge of a part libjpeg computes colours differently than
    inside the whole image, by up to 20 levels, so a model must not be served that way.

    Args:
        encoded: scalar string; see `decode`.
        size: side of the result in pixels.
        area: least share of the upright picture that the part covers, in (0, 1), as in Inception's
            training (arXiv:1409.4842, section 6).
        seed: int [2]; it determines the part.
        max_pixels: see `decode`.

    Returns:
        float32 [size, size, 3] in [0, 255].
    """
    turn = orientation.of(encoded)
    swapped = orientation.swaps(turn)

    def window(stored: tf.Tensor) -> tf.Tensor:
        """Draws a part of the upright picture; returns top, left, height and width as stored."""
        upright = tf.where(swapped, stored[::-1], stored)
        begin, extent, _ = tf.image.stateless_sample_distorted_bounding_box(
            tf.concat([upright, [3]], axis=0),
            tf.constant([[[0.0, 0.0, 1.0, 1.0]]]),
            seed,
            aspect_ratio_range=(3 / 4, 4 / 3),
            area_range=(area, 1.0),
            use_image_if_no_bounding_boxes=True,
        )
        begin, extent = begin[:2], extent[:2]
        begin = tf.where(swapped, begin[::-1], begin)
        extent = tf.where(swapped, extent[::-1], extent)
        backwards = orientation.flips(turn) == 1
        return tf.concat([tf.where(backwards, stored - begin - extent, begin), extent], axis=0)

    def of_jpeg() -> tf.Tensor:
        part = window(headers.jpeg_size(encoded, max_pixels))

        def decoded(ratio: int) -> tf.Tensor:
            scaled = tf.maximum(part // ratio, [0, 0, 1, 1])
            return tf.io.decode_and_crop_jpeg(encoded, scaled, channels=3, ratio=ratio)

        return _scaled(part[2:], size, decoded)

    def of_other() -> tf.Tensor:
        image = _stored(encoded, max_pixels, None)
        return tf.image.crop_to_bounding_box(image, *tf.unstack(window(tf.shape(image)[:2])))

    image = tf.cond(tf.io.is_jpeg(encoded), of_jpeg, of_other)
    image.set_shape([None, None, 3])
    return tf.ensure_shape(orientation.turn(_resize(image, size), turn), [size, size, 3])


def _needed(size: int, crop: float) -> int:
    """Returns the shorter side that an image needs so that its central square has `size`."""
    return round(size / crop)


def _stored(encoded: tf.Tensor, max_pixels: int, least: int | None) -> tf.Tensor:
    """Decodes an image as it lies in the file; see `decode`."""
    # No side over this, and a JPEG needs no further look at its header.
    most = math.isqrt(max_pixels) if least is None else min(2 * least - 1, math.isqrt(max_pixels))

    def of_jpeg() -> tf.Tensor:
        return tf.cond(
            headers.is_plain_jpeg(encoded, most),
            lambda: tf.io.decode_jpeg(encoded, channels=3),
            lambda: _large_jpeg(encoded, max_pixels, least),
        )

    def of_png() -> tf.Tensor:
        with tf.control_dependencies([headers.png_size(encoded, max_pixels)]):
            return tf.io.decode_png(encoded, channels=3)

    def of_other() -> tf.Tensor:
        return tf.cond(
            tf.strings.substr(encoded, 0, 2) == b"BM",
            lambda: bitmaps.decode(encoded, max_pixels),
            lambda: _gif(encoded, max_pixels),
        )

    image = tf.cond(
        tf.io.is_jpeg(encoded),
        of_jpeg,
        lambda: tf.cond(headers.is_png(encoded), of_png, of_other),
    )
    return tf.ensure_shape(image, [None, None, 3])


@headers.aside
def _large_jpeg(encoded: tf.Tensor, max_pixels: int, least: int | None) -> tf.Tensor:
    shape = headers.jpeg_size(encoded, max_pixels)

    def decoded(ratio: int) -> tf.Tensor:
        return tf.io.decode_jpeg(encoded, channels=3, ratio=ratio)

    with tf.control_dependencies([shape]):
        return decoded(1) if least is None else _scaled(shape, least, decoded)


@headers.aside
def _gif(encoded: tf.Tensor, max_pixels: int) -> tf.Tensor:
    with tf.control_dependencies([headers.gif_size(encoded, max_pixels)]):
        return tf.io.decode_image(encoded, channels=3, expand_animations=False)


def _scaled(extent: tf.Tensor, least: int, decoded: Callable[[int], tf.Tensor]) -> tf.Tensor:
    """Decodes a JPEG at the smallest scale that leaves `least` pixels of its shorter side.

    `extent` is height and width of what is decoded, `decoded` decodes at 1/n of that.
    """
    possible = tf.reduce_min(extent) // tf.constant(_RATIOS[1:]) >= least
    choice = tf.reduce_sum(tf.cast(possible, tf.int32))
    return tf.switch_case(choice, [functools.partial(decoded, ratio) for ratio in _RATIOS])


def _cut(image: tf.Tensor, size: int, crop: float, flips: tf.Tensor) -> tf.Tensor:
    """Cuts the square that is central once the image is turned; see `orientation.flips`."""
    shape = tf.shape(image)[:2]
    shorter = tf.reduce_min(shape)
    side = tf.cast(tf.round(tf.cast(shorter, tf.float32) * crop), tf.int32)
    side = tf.maximum(side, 1)
    # Where a pixel is left over, the larger margin is at the upright picture's bottom and right.
    start = tf.concat([(shape - side + flips) // 2, [0]], axis=0)
    return _resize(tf.slice(image, start, tf.stack([side, side, 3])), size)


def _resize(image: tf.Tensor, size: int) -> tf.Tensor:
    """Scales [height, width, 3] to float32 [size, size, 3].

    A side that shrinks is averaged, so that no pixel is passed over: noise and fine patterns do not
    become false ones. TensorFlow's antialiased bicubic filter would take three times as long.
    """
    shape = tf.shape(image)[:2]
    resized = tf.cond(
        tf.reduce_max(shape) > size,
        lambda: tf.image.resize(image, (size, size), method="area"),
        lambda: tf.image.resize(image, (size, size), method="bicubic"),
    )
    return tf.clip_by_value(tf.ensure_shape(resized, [size, size, 3]), 0.0, 255.0)
