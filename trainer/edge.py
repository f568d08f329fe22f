"""The model for small devices: a TensorFlow Lite file beside the SavedModel.

It takes pixels instead of encoded images, as a device has its own way of decoding; how these pixels
are to be made is written beside it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from trainer import finetuning, freezing, images

_Function = Callable[[tf.Tensor], tf.Tensor]

FILE = "model.tflite"
DESCRIPTION = "model.tflite.json"


def save(
    model: keras.Model,
    *,
    temperature: float,
    labels: Sequence[str],
    kind: str,
    sample: Sequence[bytes],
    crop: float,
    directory: str,
) -> None:
    """Converts a model and writes `model.tflite` and its description.

    Args:
        model: float32 [batch, size, size, 3] in [0, 255] to logits [batch, classes].
        temperature: divides logits; see `calibration.temperature`.
        labels: class names; the index in this list is the class id.
        kind: "float16" or "int8".
        sample: encoded images from which int8 learns the range of each activation.
        crop: see `images.crop_and_resize`.
        directory: where to write, local or on any file system that TensorFlow knows.
    """
    size = model.input_shape[1]
    pixels = [images.crop_and_resize(images.decode(image), size, crop) for image in sample]
    content = convert(model, temperature, kind, pixels)
    with tf.io.gfile.GFile(f"{directory}/{FILE}", "wb") as file:
        file.write(content)
    description = {
        "input": {
            "shape": [1, size, size, 3],
            "dtype": "uint8" if kind == "int8" else "float32",
            "values": "RGB from 0 to 255, not scaled any further",
            "crop": f"the central square, {crop:g} of the shorter side",
            "resize": f"to {size}x{size} pixels, bicubic without antialiasing",
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
    model: keras.Model, temperature: float, kind: str, sample: Sequence[tf.Tensor]
) -> bytes:
    """Converts a model to TensorFlow Lite, with softmax at the end.

    Args:
        model: see `save`.
        temperature: see `save`.
        kind: see `save`.
        sample: float32 [size, size, 3] each, in [0, 255].

    Returns:
        The file's content; its input is uint8 for int8 and float32 for float16.
    """
    parts = finetuning.parts(model)
    if kind == "int8" and parts is not None:
        model = finetuning.join(parts[0], _centred(*parts, sample))
    # Frozen, as the converter aborts the process on the variables of some Keras 3 layers.
    score = freezing.freeze(model)
    return _converted(lambda pixels: tf.nn.softmax(score(pixels) / temperature), kind, sample)


def _centred(backbone: keras.Model, head: keras.Model, sample: Sequence[tf.Tensor]) -> keras.Model:
    """Takes out of a head's first layer what rounding the backbone to int8 adds on average.

    Rounded weights shift the mean of what each layer puts out, and the shifts add up; see
    M. Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction",
    ICCV 2019. It goes into a bias, which is kept in 32 bits.
    """
    embed = freezing.freeze(backbone)
    exact = np.concatenate([embed(image[tf.newaxis]).numpy() for image in sample])
    rounded = predict(_converted(embed, "int8", sample), np.stack(sample))
    shift = (rounded - exact).mean(axis=0, keepdims=True)
    centred = finetuning.copy(head)
    dense = next(layer for layer in centred.layers if isinstance(layer, keras.layers.Dense))
    # What comes before it, a normalisation and dropout, is affine.
    before = keras.Model(centred.inputs, dense.input)
    moved = before(shift, training=False) - before(np.zeros_like(shift), training=False)
    dense.bias.assign_sub(keras.ops.matmul(moved, dense.kernel)[0])
    return centred


def _converted(call: _Function, kind: str, sample: Sequence[tf.Tensor]) -> bytes:
    specification = tf.TensorSpec((1, *sample[0].shape), tf.float32, name="pixels")
    function = tf.function(call, autograph=False).get_concrete_function(specification)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function])
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if kind == "float16":
        converter.target_spec.supported_types = [tf.float16]
    else:

        def representative() -> Iterator[list[npt.NDArray[np.float32]]]:
            for image in sample:
                yield [image.numpy()[np.newaxis]]

        converter.representative_dataset = representative
        converter.inference_input_type = tf.uint8
    content: bytes = converter.convert()
    return content


def predict(content: bytes, pixels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Runs a converted model on one image after the other, as a device would.

    Args:
        content: the file's content.
        pixels: float32 [count, size, size, 3] in [0, 255].

    Returns:
        float32 [count, classes], probabilities.
    """
    interpreter = tf.lite.Interpreter(model_content=content)
    interpreter.allocate_tensors()
    (given,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()
    rows = []
    for image in pixels:
        exact = np.rint(image) if given["dtype"] == np.uint8 else image
        interpreter.set_tensor(given["index"], exact[np.newaxis].astype(given["dtype"]))
        interpreter.invoke()
        rows.append(interpreter.get_tensor(result["index"])[0])
    return np.stack(rows)
