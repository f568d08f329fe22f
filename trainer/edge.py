"""The model for small devices: a TensorFlow Lite file beside the SavedModel.

It takes pixels instead of encoded images, as devices decode by themselves. A JSON
description beside it explains how to make these pixels.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from trainer import freezing, images, quantization

FILE = "model.tflite"
DESCRIPTION = "model.tflite.json"


def save(
    model: keras.Model,
    *,
    temperature: float,
    labels: Sequence[str],
    kind: str,
    sample: Sequence[bytes],
    float_share: float,
    crop: float,
    directory: str,
) -> None:
    """Converts a model and writes `model.tflite` and its description.

    Args:
        model: float32 [batch, size, size, 3] in [0, 255] to logits [batch, classes].
        temperature: divides logits; see `calibration.temperature`.
        labels: class names; the index in this list is the class id.
        kind: "float16" or "int8".
        sample: encoded images from which int8 quantization derives the range of each activation.
        float_share: for int8 only; see `quantization.quantize`.
        crop: see `images.crop_and_resize`.
        directory: where to write, local or on any file system that TensorFlow knows.
    """
    size = model.input_shape[1]
    pixels = [images.square(tf.constant(image), size, crop) for image in sample]
    content = convert(model, temperature, kind, pixels, float_share)
    with tf.io.gfile.GFile(f"{directory}/{FILE}", "wb") as file:
        file.write(content)
    description = {
        "input": {
            "shape": [1, size, size, 3],
            "dtype": "float32",
            "values": "RGB from 0 to 255, not scaled any further",
            "crop": f"the central square, {crop:g} of the shorter side",
            "resize": f"to {size}x{size} pixels: bicubic to grow, the mean of areas to shrink",
        },
        "output": {
            "shape": [1, len(labels)],
            "dtype": "float32",
            "values": "probability of each class, in the order of the labels",
        },
        "labels": list(labels),
        "crop": crop,
        "weights": kind,
    }
    with tf.io.gfile.GFile(f"{directory}/{DESCRIPTION}", "w") as file:
        file.write(json.dumps(description, indent=1, ensure_ascii=False))


def convert(
    model: keras.Model,
    temperature: float,
    kind: str,
    sample: Sequence[tf.Tensor],
    float_share: float,
) -> bytes:
    """Returns the content of a TensorFlow Lite file: the model, then softmax.

    `sample` holds float32 [size, size, 3] in [0, 255]; `save` explains the other arguments.
    """
    # The converter aborts the process on variables of some Keras 3 layers; a frozen model has none.
    score = freezing.freeze(model)
    function = tf.function(
        lambda pixels: tf.nn.softmax(score(pixels) / temperature), autograph=False
    ).get_concrete_function(tf.TensorSpec((1, *model.input_shape[1:]), tf.float32, name="pixels"))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function])
    if kind == "int8":
        images_of_one = [image.numpy()[np.newaxis] for image in sample]
        return quantization.quantize(converter, images_of_one, float_share)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]
    content: bytes = converter.convert()
    return content


def predict(content: bytes, pixels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Runs the content of a TensorFlow Lite file on one image after the other, as a device would.

    `pixels` is float32 [count, size, size, 3] in [0, 255]. Returns probabilities, float32
    [count, classes].
    """
    interpreter = tf.lite.Interpreter(model_content=content)
    interpreter.allocate_tensors()
    (given,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()
    rows = []
    for image in pixels:
        interpreter.set_tensor(given["index"], image[np.newaxis])
        interpreter.invoke()
        rows.append(interpreter.get_tensor(result["index"])[0])
    return np.stack(rows)
