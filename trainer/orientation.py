"""EXIF orientation of encoded images, read inside the TensorFlow graph.

Cameras store a picture as it lies on the sensor and note in EXIF how a viewer must turn it. EXIF is
the APP1 segment of a JPEG or the eXIf chunk of a PNG. As in web browsers, no other note counts:
neither XMP nor a "raw profile" in a text chunk. A picture with odd or
broken EXIF is not turned.

Formats: CIPA DC-008 (EXIF), TIFF 6.0 section 2, ITU-T T.81 annex B (JPEG), W3C PNG.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from trainer import headers

# A file up to this size is searched for EXIF's name, which is faster than reading its segments.
_SEARCHED = 1 << 14
# EXIF that lies behind a PNG's pixels starts so near to the end, as it has at most 64 KiB.
_END = 1 << 16
# \C is any byte; a dot would stand for a character.
_NAMED = r"\C*(?:Exif\x00\x00|eXIf)\C*"
_TAG, _SHORT = 0x0112, 3
_ENTRY = 12  # bytes of an entry of TIFF's directory
# By orientation, whether the stored rows, then the stored columns, run backwards. From 5 on, rows
# and columns are swapped after that.
_FLIPS = ((0, 0), (0, 0), (0, 1), (1, 1), (1, 0), (0, 0), (1, 0), (1, 1), (0, 1))
_SWAPPED = 5


def of(encoded: tf.Tensor) -> tf.Tensor:
    """Returns the EXIF orientation of an image file, scalar string to int32, from 1 to 8."""
    start = tf.strings.substr(encoded, 0, _SEARCHED)
    named = tf.strings.regex_full_match(start, _NAMED)
    large = tf.strings.length(start) == _SEARCHED
    return tf.cond(named | large, lambda: _read(encoded), lambda: tf.constant(1))


@headers.aside
def _read(encoded: tf.Tensor) -> tf.Tensor:
    return of_exif(_block(encoded, tf.strings.length(encoded)))


def of_exif(block: tf.Tensor) -> tf.Tensor:
    """Returns the orientation in a block of EXIF, scalar string to int32, from 1 to 8.

    The block may start with the name `Exif` and two zeros. Of several orientations the last counts.
    """
    name = tf.strings.regex_full_match(block, r"Exif\x00\x00\C*")
    block = tf.strings.substr(block, tf.where(name, 6, 0), tf.strings.length(block))
    mark = tf.strings.substr(block, 0, 4)
    little = mark == b"II*\0"
    length = tf.strings.length(block)
    valid = (little | (mark == b"MM\0*")) & (length >= 8)

    def words(start: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
        """Reads 16-bit numbers."""
        pairs = tf.reshape(_bytes(block, start, 2 * count), [-1, 2])
        return tf.where(little, pairs[:, 0] + 256 * pairs[:, 1], pairs[:, 1] + 256 * pairs[:, 0])

    def directory() -> tf.Tensor:
        start = _long(tf.ensure_shape(words(tf.constant(4), tf.constant(2)), [2]), little)
        inside = (start >= 8) & (start <= length - 2)
        return tf.cond(inside, lambda: value(start), lambda: tf.constant(1))

    def value(start: tf.Tensor) -> tf.Tensor:
        count = tf.minimum(words(start, tf.constant(1))[0], (length - start - 2) // _ENTRY)
        entries = tf.reshape(words(start + 2, count * _ENTRY // 2), [-1, _ENTRY // 2])
        fits = (entries[:, 0] == _TAG) & (entries[:, 1] == _SHORT)
        single = _long(tf.transpose(entries[:, 2:4]), little) == 1
        found = tf.boolean_mask(entries[:, 4], fits & single)
        last = tf.concat([[1], found], axis=0)[-1]
        return tf.where((last >= 1) & (last <= 8), last, 1)

    return tf.cond(valid, directory, lambda: tf.constant(1))


def swaps(orientation: tf.Tensor) -> tf.Tensor:
    """Returns whether the upright picture's width is the stored height, scalar bool."""
    return orientation >= _SWAPPED


def flips(orientation: tf.Tensor) -> tf.Tensor:
    """Returns 1 where the stored rows, and the stored columns, run backwards: int32 [2]."""
    return tf.gather(tf.constant(_FLIPS), orientation)


def turn(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Turns a stored picture upright, [height, width, 3] of any type."""
    turned = tf.cond(orientation == 1, lambda: image, lambda: _turned(image, orientation))
    return tf.ensure_shape(turned, [None, None, 3])


@headers.aside
def _turned(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    backwards = tf.concat([flips(orientation), [0]], axis=0) == 1
    flipped = tf.raw_ops.Reverse(tensor=image, dims=backwards)
    return tf.cond(swaps(orientation), lambda: tf.transpose(flipped, [1, 0, 2]), lambda: flipped)


def _block(encoded: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
    """Returns the block of EXIF in an image file; empty if there is none."""
    return tf.cond(
        tf.io.is_jpeg(encoded),
        lambda: _walked(encoded, length, 2, 10, _segment),
        lambda: tf.cond(
            tf.strings.substr(encoded, 0, 4) == b"\x89PNG",
            lambda: _of_png(encoded, length),
            lambda: tf.constant(b""),
        ),
    )


def _of_png(encoded: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
    # The standard has eXIf before the pixels. Some programs write it behind them, and the many
    # chunks of pixels are passed only if there seems to be one.
    end = tf.strings.substr(encoded, tf.maximum(length - _END, 0), _END)
    behind = tf.strings.regex_full_match(end, _NAMED)
    return _walked(encoded, length, 8, 8, lambda head, at: _chunk(head, at, behind))


# From the first bytes of a piece and its position to: where the next piece starts, or -1 if no more
# is to be read; and, if the piece holds EXIF, where that starts and its length, else 0 and 0.
_Step = Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor, tf.Tensor]]


def _walked(encoded: tf.Tensor, length: tf.Tensor, start: int, head: int, step: _Step) -> tf.Tensor:
    """Walks over the pieces of a file, whose heads have `head` bytes, to the first EXIF."""

    def body(
        position: tf.Tensor, block: tf.Tensor, extent: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        return step(tf.strings.substr(encoded, position, head), position)

    _, block, extent = tf.while_loop(
        lambda position, block, extent: (
            (position >= 0) & (position + head <= length) & (extent == 0)
        ),
        body,
        (tf.constant(start), tf.constant(0), tf.constant(0)),
    )
    return tf.strings.substr(encoded, tf.minimum(block, length), extent)


def _segment(head: tf.Tensor, position: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    numbers = tf.cast(tf.io.decode_raw(head, tf.uint8), tf.int32)
    mark, size = numbers[1], numbers[2] * 256 + numbers[3]
    exif = (mark == 0xE1) & (tf.strings.substr(head, 4, 6) == b"Exif\0\0")
    # Bytes of 255 may fill the space before a mark. Some marks have no content.
    bare = ((mark >= 0xD0) & (mark <= 0xD7)) | (mark == 0x01)
    step = tf.where(mark == 0xFF, 1, tf.where(bare, 2, size + 2))
    # After the start of the scan come pixels.
    last = (numbers[0] != 0xFF) | (mark == 0xDA) | (mark == 0xD9)
    following = tf.where(last, -1, position + step)
    return following, position + 10, tf.where(exif & ~last, tf.maximum(size - 8, 0), 0)


def _chunk(
    head: tf.Tensor, position: tf.Tensor, behind: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    size = tf.io.decode_raw(head, tf.int32, little_endian=False)[0]
    kind = tf.strings.substr(head, 4, 4)
    last = (kind == b"IEND") | ((kind == b"IDAT") & ~behind)
    following = tf.where(last | (size < 0), -1, position + 12 + size)
    return following, position + 8, tf.where(kind == b"eXIf", size, 0)


def _bytes(text: tf.Tensor, start: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.io.decode_raw(tf.strings.substr(text, start, count), tf.uint8), tf.int32)


def _long(words: tf.Tensor, little: tf.Tensor) -> tf.Tensor:
    """Joins pairs of 16-bit numbers, [2] or [2, count], to 32-bit ones."""
    low, high = tf.unstack(words)
    return tf.where(little, low + 65536 * high, high + 65536 * low)
