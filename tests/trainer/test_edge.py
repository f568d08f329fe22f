"""A quantized network answers, on average, what the float network does."""

from __future__ import annotations

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from trainer import edge, finetuning, freezing

SIZE, CLASSES = 16, 5


def _joined() -> keras.Model:
    """A network of which one channel is so wide that int8 rounds most of the others to 0."""
    keras.utils.set_random_seed(3)
    images = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.Rescaling(1 / 255)(images)
    convolution = keras.layers.Conv2D(16, 3, activation="relu")
    x = keras.layers.GlobalAveragePooling2D()(convolution(x))
    kernel, bias = convolution.get_weights()
    kernel[..., 0] *= 300
    convolution.set_weights([kernel, bias])
    backbone = keras.Model(images, x)
    dense = keras.layers.Dense(CLASSES)
    head = keras.Sequential([keras.Input((16,)), dense])
    kernel, bias = dense.get_weights()
    kernel[0] = 0
    dense.set_weights([10 * kernel, bias])
    return finetuning.join(backbone, head)


def _mean_error(content: bytes, pixels: npt.NDArray[np.float32], expected: tf.Tensor) -> float:
    return float(np.abs((edge.predict(content, pixels) - expected).numpy().mean(axis=0)).max())


def test_the_mean_error_of_a_quantized_backbone_is_taken_out() -> None:
    model = _joined()
    pixels = np.random.default_rng(1).integers(0, 256, (40, SIZE, SIZE, 3)).astype(np.float32)
    sample = [tf.constant(image) for image in pixels[:20]]
    expected = tf.nn.softmax(model(pixels[20:], training=False))
    score = freezing.freeze(model)
    plain = edge._converted(lambda images: tf.nn.softmax(score(images)), "int8", sample)
    corrected = edge.convert(model, 1.0, "int8", sample)
    before = _mean_error(plain, pixels[20:], expected)
    after = _mean_error(corrected, pixels[20:], expected)
    print(before, after)
    assert after < before / 2


def test_only_what_was_joined_has_parts() -> None:
    model = _joined()
    backbone, head = finetuning.parts(model) or (None, None)
    assert backbone is not None and backbone.output_shape == (None, 16)
    assert head is not None and head.output_shape == (None, CLASSES)
    assert finetuning.parts(backbone) is None
