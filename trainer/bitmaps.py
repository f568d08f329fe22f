"""Decodes BMP inside the TensorFlow graph.

TensorFlow's own decoder looks at a bitmap's size and bits only: it shows a palette's indices as
grey, and compressed pixels as noise. Format: Microsoft, "Bitmap Storage".
"""

from __future__ import annotations

import tensorflow as tf

from trainer import headers

_SHORTEST = 66  # bytes up to and including the masks of colours, or into palette or pixels
_COLOURS = 256
_PLAIN, _MASKED = 0, 3  # kinds of compression
_MASKS = b"\0\0\xff\0\0\xff\0\0\xff\0\0\0"  # of red, green and blue as without masks


@headers.aside
def decode(encoded: tf.Tensor, max_pixels: int) -> tf.Tensor:
    """Decodes a bitmap with 8, 24 or 32 bits a pixel, without compression.

    `images.decode` explains arguments and result. It fails on any other bitmap.
    """
    length = tf.strings.length(encoded)
    with tf.control_dependencies([headers.require(length >= _SHORTEST, "a BMP that breaks off")]):
        head = tf.io.decode_raw(tf.strings.substr(encoded, 10, 40), tf.int32)
        head = tf.ensure_shape(head, [10])
        usual = tf.strings.substr(encoded, 54, 12) == _MASKS
    pixels, header, width, height, depth, compression = tf.unstack(head[:6])
    bits = tf.bitwise.right_shift(depth, 16)
    plain = (compression == _PLAIN) & ((bits == 8) | (bits == 24) | (bits == 32))
    masked = (compression == _MASKED) & (bits == 32) & usual
    known = (header >= 40) & (header <= 124) & (plain | masked)
    sentence = "a BMP of a kind that cannot be read; save it as PNG. Found bits and compression"
    with tf.control_dependencies([headers.require(known, sentence, bits, compression)]):
        size = headers.within(tf.stack([tf.abs(height), width]), max_pixels)
    with tf.control_dependencies([size]):
        image = tf.io.decode_bmp(encoded, channels=3)
    first = 14 + header
    colours = tf.where(head[9] > 0, head[9], _COLOURS)
    colours = tf.clip_by_value(tf.minimum(colours, (pixels - first) // 4), 0, _COLOURS)
    return tf.cond(
        bits == 8,
        lambda: _coloured(image, tf.strings.substr(encoded, first, 4 * colours)),
        lambda: image,
    )


def _coloured(indices: tf.Tensor, palette: tf.Tensor) -> tf.Tensor:
    """Replaces indices, uint8 [height, width, 3], by colours of a palette: blue, green, red, 0."""
    colours = tf.reshape(tf.io.decode_raw(palette, tf.uint8), [-1, 4])
    # An index without a colour is black.
    filled = tf.pad(colours, [[0, _COLOURS - tf.shape(colours)[0]], [0, 0]])
    return tf.gather(filled[:, 2::-1], tf.cast(indices[..., 0], tf.int32))
