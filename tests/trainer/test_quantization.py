"""An int8 network answers, on average, what the float network does, and can look closely."""

from __future__ import annotations

import keras
import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf

from trainer import edge, freezing, quantization

SIZE, CLASSES = 16, 5

_Array = npt.NDArray[np.float32]


def _converter(model: keras.Model) -> tf.lite.TFLiteConverter:
    function = tf.function(freezing.freeze(model), autograph=False)
    shape = tf.TensorSpec((1, *model.input_shape[1:]), tf.float32)
    return tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function(shape)])


def _uncorrected(model: keras.Model, sample: list[_Array]) -> bytes:
    converter = _converter(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([image] for image in sample)
    content: bytes = converter.convert()
    return content


def _round_badly(layer: keras.Layer) -> None:
    """Makes all weights but one of each filter round down, so that their errors add up."""
    kernel, bias = layer.get_weights()
    kernel[:] = 1.4
    kernel[0, 0] = 127
    if kernel.ndim == 4 and not isinstance(layer, keras.layers.DepthwiseConv2D):
        kernel[0, 0, 1:] = 1.4
    # Of 0, a dense layer would have no bias in the file.
    layer.set_weights([kernel / 127, bias + 0.5])


@pytest.mark.parametrize(
    "layers",
    [
        [keras.layers.Conv2D(4, 3)],
        [keras.layers.Conv2D(4, 3, strides=2, padding="same")],
        [keras.layers.Conv2D(4, 3, dilation_rate=2)],
        [keras.layers.Conv2D(4, 1), keras.layers.Conv2D(4, 3), keras.layers.Conv2D(4, 3)],
        [keras.layers.DepthwiseConv2D(5, padding="same")],
        [keras.layers.DepthwiseConv2D(3, strides=2, depth_multiplier=2)],
        [keras.layers.Flatten(), keras.layers.Dense(4)],
    ],
    ids=["plain", "strided", "dilated", "same biases", "depthwise", "multiplied", "dense"],
)
def test_what_rounding_adds_on_average_is_taken_out(layers: list[keras.Layer]) -> None:
    images = keras.Input((SIZE, SIZE, 3))
    model = keras.Sequential([images, keras.layers.Rescaling(1 / 255), *layers])
    for layer in layers:
        if layer.weights:
            _round_badly(layer)
    pixels = 255 * np.random.default_rng(1).random((40, SIZE, SIZE, 3)).astype(np.float32)
    sample = [image[np.newaxis] for image in pixels[:20]]
    expected = model(pixels[20:], training=False).numpy()

    def mean_error(content: bytes) -> float:
        return float(np.abs((edge.predict(content, pixels[20:]) - expected).mean()))

    before = mean_error(_uncorrected(model, sample))
    after = mean_error(quantization.quantize(_converter(model), sample, 0.0))
    assert after < before / 5, (before, after)


def _classifier_of_faint_images() -> keras.Model:
    """A network that tells apart what differs by less than one step of a pixel."""
    keras.utils.set_random_seed(3)
    return keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 3)),
            keras.layers.Rescaling(1, offset=-100),
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(CLASSES),
        ]
    )


@pytest.mark.parametrize("share", [0.0, 0.05])
def test_first_operations_in_float_see_what_rounded_pixels_hide(share: float) -> None:
    model = _classifier_of_faint_images()
    pixels = 100 + np.random.default_rng(1).random((20, SIZE, SIZE, 3)).astype(np.float32)
    sample = [tf.constant(image) for image in pixels]
    expected = tf.nn.softmax(model(pixels, training=False)).numpy()
    answers = edge.predict(edge.convert(model, 1.0, "int8", sample, share), pixels)
    error = np.abs(answers - expected).mean() / expected.std(axis=0).mean()
    assert (error < 0.1) == (share > 0), error


def test_float_operations_hold_at_most_their_share_of_the_weights() -> None:
    model = _classifier_of_faint_images()
    sample = [tf.constant(image) for image in 200 * np.ones((2, SIZE, SIZE, 3), np.float32)]
    sizes = {
        share: len(edge.convert(model, 1.0, "int8", sample, share)) for share in (0.0, 0.05, 0.1)
    }
    # The convolution holds 112 of some 50,000 weights, and the layer after it nearly all others.
    assert sizes[0.05] == sizes[0.1] < 1.1 * sizes[0.0]
