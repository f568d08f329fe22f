"""Encoded images to model input: the one way an image is decoded, cropped and resized.

Training, evaluation and serving all go through these functions inside the TensorFlow graph, so
that they cannot preprocess differently.
"""

from __future__ import annotations

import tensorflow as tf


def decode(encoded: tf.Tensor) -> tf.Tensor:
    """Decodes one encoded image.

    Args:
        encoded: scalar string; the bytes of a JPEG, PNG, GIF (its first frame) or BMP.

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
    square = tf.image.crop_to_bounding_box(
        image, (height - side) // 2, (width - side) // 2, side, side
    )
    resized = tf.image.resize(square, (size, size), method="bicubic")
    return tf.clip_by_value(tf.ensure_shape(resized, [size, size, 3]), 0.0, 255.0)


def load(encoded: tf.Tensor, size: int, crop: float) -> tf.Tensor:
    """Decodes, crops and resizes a batch, one image at a time so that sizes may differ.

    Args:
        encoded: string [batch]; see `decode`.
        size: side of the result in pixels.
        crop: see `crop_and_resize`.

    Returns:
        float32 [batch, size, size, 3] in [0, 255].
    """
    return tf.map_fn(
        lambda one: crop_and_resize(decode(one), size, crop),
        encoded,
        fn_output_signature=tf.TensorSpec([size, size, 3], tf.float32),
    )
