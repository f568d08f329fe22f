"""Sizes of encoded images, read from their headers inside the TensorFlow graph.

A small file may announce more pixels than fit into memory, so its size is checked before it is
decoded. Formats: ITU-T T.81 (JPEG), W3C PNG, CompuServe GIF89a.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import tensorflow as tf

_PNG = r"\CPNG\r\n\x1a\n\C{16}"  # with width and height at its end
_GIF = r"GIF8\C{9}"
# As the releases say it that know no others.
_UNKNOWN = "Unknown image file format. One of JPEG, PNG, GIF, BMP required."
_CMYK = 4  # channels
# Adobe's segment is near the start; without it a CMYK JPEG does not say if its inks are inverted.
_ADOBE = r"\C*\x00\x0eAdobe\C*"
_ADOBE_WITHIN = 1 << 16


def aside(function: Callable[..., tf.Tensor]) -> Callable[..., tf.Tensor]:
    """Makes a graph function that stays one node of the graph that calls it.

    What few images need is put aside like this. TensorFlow passes over all nodes of a branch that
    is not taken, which for small images would take longer than to decode them.
    """
    wrapped: Callable[..., tf.Tensor] = tf.function(
        function, autograph=False, experimental_attributes={"_noinline": True}
    )
    return wrapped


def require(condition: tf.Tensor, sentence: str, *found: tf.Tensor) -> tf.Operation | None:
    """Fails with a sentence and what was found, unless the condition holds.

    Returns:
        The operation to depend on; None in eager execution, which has failed by then.
    """
    data = [tf.constant(sentence), *found]
    return tf.raw_ops.Assert(condition=condition, data=data, summarize=8)


def within(size: tf.Tensor, max_pixels: int) -> tf.Tensor:
    """Returns the size, int [2], height and width; fails if it has more than `max_pixels`."""
    few = tf.reduce_prod(tf.cast(size, tf.int64)) <= max_pixels
    sentence = f"too many pixels: allowed are {max_pixels}, found height and width"
    with tf.control_dependencies([require(few, sentence, size)]):
        return tf.identity(size)


def jpeg_size(encoded: tf.Tensor, max_pixels: int) -> tf.Tensor:
    """Returns height and width of a JPEG as it lies in the file, int32 [2].

    It fails if they make more than `max_pixels`, or on a JPEG in CMYK that every program reads in
    another way.
    """
    shape = tf.image.extract_jpeg_shape(encoded)

    def settled() -> tf.Tensor:
        start = tf.strings.substr(encoded, 0, _ADOBE_WITHIN)
        return tf.strings.regex_full_match(start, _ADOBE)

    clear = tf.cond(shape[2] == _CMYK, settled, lambda: tf.constant(True))
    sentence = "a CMYK JPEG without Adobe's marker, whose colours are not known"
    with tf.control_dependencies([require(clear, sentence)]):
        return within(shape[:2], max_pixels)


def is_plain_jpeg(encoded: tf.Tensor, most: int) -> tf.Tensor:
    """Returns whether a JPEG is grey or in colour and has no side over `most`, scalar bool."""
    return tf.reduce_all(tf.image.extract_jpeg_shape(encoded) <= [most, most, _CMYK - 1])


def is_png(encoded: tf.Tensor) -> tf.Tensor:
    """Returns whether a file starts as a PNG does, with a header, scalar bool."""
    return tf.strings.regex_full_match(tf.strings.substr(encoded, 0, 24), _PNG)


def png_size(encoded: tf.Tensor, max_pixels: int) -> tf.Tensor:
    """Returns width and height of a PNG, int32 [2]; fails if they make more than `max_pixels`."""
    size = tf.io.decode_raw(tf.strings.substr(encoded, 16, 8), tf.int32, little_endian=False)
    few = tf.reduce_all(size <= math.isqrt(max_pixels))
    return tf.cond(few, lambda: size, lambda: within(size[::-1], max_pixels))


def gif_size(encoded: tf.Tensor, max_pixels: int) -> tf.Tensor:
    """Returns height and width of a GIF's first frame, int32 [2].

    It fails if they, or the screen's, make more than `max_pixels`, or if the frame breaks off,
    which TensorFlow would fill with black. It fails on any other file too: newer releases of
    TensorFlow would decode WebP and JPEG XL, of any size and not turned upright.
    """
    known = tf.strings.regex_full_match(tf.strings.substr(encoded, 0, 13), _GIF)
    with tf.control_dependencies([require(known, _UNKNOWN)]):
        encoded = tf.identity(encoded)
    # TensorFlow decodes the whole of a frame, which may be larger than the screen.
    screen = _shorts(encoded, tf.constant(6), 2)
    flags = _byte(encoded, tf.constant(10))
    length = tf.strings.length(encoded)
    with tf.control_dependencies([within(screen, max_pixels)]):
        start = 13 + _palette(flags)
    frame = _past_extensions(encoded, start, length)
    whole = frame + 11 <= length
    with tf.control_dependencies([require(whole, "a GIF that breaks off")]):
        size = within(_shorts(encoded, tf.minimum(frame + 5, length - 4), 2)[::-1], max_pixels)
    ended = tf.strings.regex_full_match(
        tf.strings.substr(encoded, tf.maximum(length - 2, 0), 2), r"\x00;"
    )

    def pixels_end() -> tf.Tensor:
        pixels = frame + 10 + _palette(_byte(encoded, frame + 9)) + 1
        return _past_blocks(encoded, pixels, length) <= length

    # Walking over all blocks is slow, and a file that ends as it should is whole.
    ends = tf.cond(ended, lambda: tf.constant(True), pixels_end)
    with tf.control_dependencies([require(ends, "a GIF that breaks off")]):
        return tf.identity(size)


def _past_extensions(encoded: tf.Tensor, start: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
    """Returns where a GIF's first frame starts; `length` if there is none."""

    def is_extension(position: tf.Tensor) -> tf.Tensor:
        inside = position + 2 <= length
        return tf.cond(inside, lambda: _byte(encoded, position) == 0x21, lambda: tf.constant(False))

    (position,) = tf.while_loop(
        is_extension, lambda at: [_past_blocks(encoded, at + 2, length)], [start]
    )
    return tf.minimum(position, length)


def _past_blocks(encoded: tf.Tensor, start: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
    """Returns where a GIF's chain of blocks ends; a position over `length` if it breaks off."""

    def step(position: tf.Tensor, open_: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        size = _byte(encoded, position)
        return position + 1 + size, size > 0

    position, open_ = tf.while_loop(
        lambda position, open_: open_ & (position < length), step, (start, tf.constant(True))
    )
    return tf.where(open_, length + 1, position)


def _palette(flags: tf.Tensor) -> tf.Tensor:
    """Returns the bytes of the palette that a GIF's flags announce."""
    return tf.where(flags >= 128, 3 * tf.bitwise.left_shift(2, flags % 8), 0)


def _byte(text: tf.Tensor, position: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.io.decode_raw(tf.strings.substr(text, position, 1), tf.uint8)[0], tf.int32)


def _shorts(text: tf.Tensor, position: tf.Tensor, count: int) -> tf.Tensor:
    numbers = tf.io.decode_raw(tf.strings.substr(text, position, 2 * count), tf.uint16)
    return tf.ensure_shape(tf.cast(numbers, tf.int32), [count])
