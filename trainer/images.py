"""From encoded images to model input: the only code that decodes, crops and resizes.

Training, evaluation and serving all go through these functions inside the TensorFlow graph, so
that they cannot preprocess differently.
"""

from __future__ import annotations

import tensorflow as tf


def decode(encoded: tf.Tensor) -> tf.Tensor:
    """Decodes one image: the bytes of a JPEG, PNG, GIF (its first frame) or BMP, scalar string.

    Returns:
        uint8 [height, width, 3], RGB. Grey images are repeated over the channels, an alpha channel
        is dropped.
    """
    image = tf.io.decode_image(encoded, channels=3, expand_animations=False)
    image.set_shape([None, None, 3])
    return image


def crop_and_resize(image: tf.Tensor, size: int, crop: float) -> tf.Tensor:
    """Cuts the central square and scales it.

    Bicubic without antialiasing, as EfficientNet's own evaluation resizes
    (tensorflow/tpu, models/official/efficientnet/preprocessing.py).

    Args:
        image: uint8 or float [height, width, 3].
        size: side of the result in pixels.
        crop: side of the square as a share of the image's shorter side, in (0, 1].

    Returns:
        float32 [size, size, 3] in [0, 255]; bicubic overshoot is clipped.
    """
    shape = tf.shape(image)
    height, width = shape[0], shape[1]
    shorter = tf.cast(tf.minimum(height, width), tf.float32)
    side = tf.maximum(tf.cast(tf.round(shorter * crop), tf.int32), 1)
    top, left = (height - side) // 2, (width - side) // 2
    return _resize(tf.image.crop_to_bounding_box(image, top, left, side, side), size)


def _resize(image: tf.Tensor, size: int) -> tf.Tensor:
    resized = tf.image.resize(image, (size, size), method="bicubic")
    return tf.clip_by_value(tf.ensure_shape(resized, [size, size, 3]), 0.0, 255.0)


def load_random_part(encoded: tf.Tensor, size: int, area: float, seed: tf.Tensor) -> tf.Tensor:
    """Decodes and resizes a random part of one image; of a JPEG, it decodes only that part.

    This is for training only. At the edge of a part libjpeg computes colours differently than
    inside the whole image, by up to 20 levels, so a model must not be served that way.

    Args:
        encoded: scalar string; see `decode`.
        size: side of the result in pixels.
        area: least share of the image that the part covers, in (0, 1), as in Inception's training
            (arXiv:1409.4842, section 6).
        seed: int [2]; it determines the part.

    Returns:
        float32 [size, size, 3] in [0, 255].
    """

    def window(shape: tf.Tensor) -> tf.Tensor:
        begin, extent, _ = tf.image.stateless_sample_distorted_bounding_box(
            [shape[0], shape[1], 3],
            tf.constant([[[0.0, 0.0, 1.0, 1.0]]]),
            seed,
            aspect_ratio_range=(3 / 4, 4 / 3),
            area_range=(area, 1.0),
            use_image_if_no_bounding_boxes=True,
        )
        return tf.concat([begin[:2], extent[:2]], axis=0)

    def of_jpeg() -> tf.Tensor:
        part = window(tf.image.extract_jpeg_shape(encoded))
        return tf.io.decode_and_crop_jpeg(encoded, part, channels=3)

    def of_other() -> tf.Tensor:
        image = decode(encoded)
        return tf.image.crop_to_bounding_box(image, *tf.unstack(window(tf.shape(image))))

    image = tf.cond(tf.io.is_jpeg(encoded), of_jpeg, of_other)
    image.set_shape([None, None, 3])
    return _resize(image, size)


def load(encoded: tf.Tensor, size: int, crop: float) -> tf.Tensor:
    """Decodes, crops and resizes a batch, one image at a time so that sizes may differ.

    From string [batch] to float32 [batch, size, size, 3] in [0, 255]; see `decode` and
    `crop_and_resize`.
    """
    result = tf.TensorSpec([size, size, 3], tf.float32)
    return tf.map_fn(
        lambda one: crop_and_resize(decode(one), size, crop), encoded, fn_output_signature=result
    )
