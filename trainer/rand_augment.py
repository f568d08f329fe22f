"""RandAugment: a few random operations for each image, all of the same strength.

Cubuk et al., arXiv:1909.13719. The constants are the strengths at magnitude 1: the largest in the
paper's table of operations, which is that of AutoAugment (arXiv:1805.09501, table 6). Equalize is
left out, as a histogram of each image would cost more than all other operations.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import keras
import tensorflow as tf

# From an image, float32 [height, width, 3] in [0, 255], and a strength in [-1, 1] to an image.
_Operation = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]

_ROTATION = math.radians(30)
_SHEAR = 0.3
_TRANSLATION = 0.45
_ENHANCEMENT = 0.9
_SMOOTH = ((1.0, 1.0, 1.0), (1.0, 5.0, 1.0), (1.0, 1.0, 1.0))


def apply(images: tf.Tensor, layers: int, magnitude: float, seed: tf.Tensor) -> tf.Tensor:
    """Applies `layers` random operations to each image.

    Args:
        images: float32 [batch, height, width, 3] in [0, 255].
        layers: how many operations.
        magnitude: their strength, in [0, 1]; the direction is random.
        seed: int [2].

    Returns:
        float32 of the same shape, in [0, 255].
    """
    count = tf.shape(images)[0]
    chosen = tf.random.stateless_uniform(
        [count, layers], seed + 11, maxval=len(_OPERATIONS), dtype=tf.int32
    )
    sign = tf.sign(tf.random.stateless_uniform([count, layers], seed + 12, minval=-1.0))

    def one(parts: tuple[tf.Tensor, tf.Tensor, tf.Tensor]) -> tf.Tensor:
        image, operations, signs = parts
        for layer in range(layers):
            image = _chosen(image, operations[layer], magnitude * signs[layer])
        return image

    specification = tf.TensorSpec(images.shape[1:], tf.float32)
    return tf.map_fn(one, (images, chosen, sign), fn_output_signature=specification)


def _chosen(image: tf.Tensor, index: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
    results = [functools.partial(operation, image, strength) for operation in _OPERATIONS]
    changed = tf.clip_by_value(tf.switch_case(index, results), 0.0, 255.0)
    return tf.ensure_shape(changed, image.shape)


def _affine(image: tf.Tensor, x: list[tf.Tensor], y: list[tf.Tensor]) -> tf.Tensor:
    """Applies an affine transformation, in coordinates that count from the image's centre.

    The rows `x` and `y` of its matrix map (x, y, 1) of each new pixel to that of its source.
    """
    height, width = image.shape[0], image.shape[1]
    middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
    rows = []
    for row, middle in ((x, middle_x), (y, middle_y)):
        a, b, shift = (tf.cast(value, tf.float32) for value in row)
        rows += [a, b, shift + middle - a * middle_x - b * middle_y]
    transform = tf.stack([*rows, 0.0, 0.0])
    return keras.ops.image.affine_transform(
        image, transform, interpolation="bilinear", fill_mode="constant", fill_value=127.0
    )


def _rotate(image: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
    cosine, sine = tf.cos(strength * _ROTATION), tf.sin(strength * _ROTATION)
    return _affine(image, [cosine, -sine, 0.0], [sine, cosine, 0.0])


def _enhanced(dull: tf.Tensor | float, image: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
    """Moves an image away from its dull version, or towards it if the strength is negative."""
    return dull + (image - dull) * (1 + strength * _ENHANCEMENT)


def _contrast(image: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
    mean = tf.reduce_mean(tf.image.rgb_to_grayscale(image))
    return _enhanced(mean, image, strength)


def _sharpness(image: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
    kernel = tf.constant(_SMOOTH)[:, :, tf.newaxis, tf.newaxis] / 13.0
    smooth = tf.nn.depthwise_conv2d(
        image[tf.newaxis], tf.tile(kernel, [1, 1, 3, 1]), [1, 1, 1, 1], "SAME"
    )[0]
    return _enhanced(smooth, image, strength)


def _posterize(image: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
    step = tf.pow(2.0, tf.round(tf.abs(strength) * 4))  # from 8 bits down to 4
    return tf.floor(image / step) * step


def _solarize(image: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
    return tf.where(image < 256 * (1 - tf.abs(strength)), image, 255 - image)


def _autocontrast(image: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
    low = tf.reduce_min(image, axis=[0, 1], keepdims=True)
    high = tf.reduce_max(image, axis=[0, 1], keepdims=True)
    return tf.where(high > low, (image - low) * 255 / tf.maximum(high - low, 1.0), image)


_OPERATIONS: tuple[_Operation, ...] = (
    lambda image, _: image,
    _autocontrast,
    _rotate,
    _solarize,
    lambda image, strength: _enhanced(tf.image.rgb_to_grayscale(image), image, strength),
    _posterize,
    _contrast,
    lambda image, strength: _enhanced(0.0, image, strength),
    _sharpness,
    # Shear, then translate, along x and along y.
    lambda image, strength: _affine(image, [1, strength * _SHEAR, 0], [0, 1, 0]),
    lambda image, strength: _affine(image, [1, 0, 0], [strength * _SHEAR, 1, 0]),
    lambda image, strength: _affine(
        image, [1, 0, strength * _TRANSLATION * image.shape[1]], [0, 1, 0]
    ),
    lambda image, strength: _affine(
        image, [1, 0, 0], [0, 1, strength * _TRANSLATION * image.shape[0]]
    ),
)
