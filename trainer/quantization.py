"""Quantization of a TensorFlow Lite model to int8, with bias correction.

Rounded weights shift the mean output of a layer, and the shifts add up from layer to layer. Bias
correction subtracts each shift from the layer's bias, which int8 models keep in 32 bits; see M.
Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", ICCV 2019.
Here a sample of images gives the means.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.tools import flatbuffer_utils

_Array = npt.NDArray[np.float32]

_WEIGHTS, _BIAS = 1, 2  # their indices among an operation's inputs
_KINDS = (
    schema.BuiltinOperator.CONV_2D,
    schema.BuiltinOperator.DEPTHWISE_CONV_2D,
    schema.BuiltinOperator.FULLY_CONNECTED,
)


@dataclass(frozen=True)
class _Layer:
    """An operation with weights and bias.

    Rounding adds `rounding` to its weights, in their shape: [out, height, width, in] of a
    convolution, [1, height, width, out] of a depthwise one, [out, in] of a dense layer.
    """

    operator: Any
    code: int  # one of `_KINDS`
    rounding: _Array
    bias: _Array  # [out]


def quantize(
    converter: tf.lite.TFLiteConverter, sample: Sequence[_Array], float_share: float
) -> bytes:
    """Converts a network to an int8 file and returns its content; input and output stay float32.

    The first operations, which together hold at most `float_share` of the weights, stay float32
    too. On smooth images, such as enlarged small ones, they detect differences of about one step of
    a pixel, which rounding would hide. See "Selective quantization" in TensorFlow Lite's guide to
    its quantization debugger.

    The range of each activation is derived from `sample`, float32 [1, size, size, 3] each.
    """

    def inputs() -> Iterator[list[_Array]]:
        return ([image] for image in sample)

    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = inputs
    debugger = tf.lite.experimental.QuantizationDebugger(converter=converter, debug_dataset=inputs)
    exact = debugger.calibrated_model
    model = flatbuffer_utils.convert_bytearray_to_object(bytearray(exact))
    (graph,) = model.subgraphs
    debugger.options = tf.lite.experimental.QuantizationDebugOptions(
        denylisted_nodes=[
            graph.tensors[output].name.decode()
            for operator in graph.operators[: _count_of_first(model, float_share)]
            for output in operator.outputs
        ]
    )
    rounded = debugger.get_nondebug_quantized_model()
    layers = list(_layers(model, flatbuffer_utils.convert_bytearray_to_object(bytearray(rounded))))
    for layer, shift in zip(layers, _shifts(exact, layers, sample), strict=True):
        _set_bias(model, layer.operator, layer.bias - shift)
    debugger.calibrated_model = bytes(flatbuffer_utils.convert_object_to_bytearray(model))
    content: bytes = debugger.get_nondebug_quantized_model()
    return content


def _count_of_first(model: Any, share: float) -> int:
    """Returns the number of first operations that together hold at most `share` of the weights."""
    if not share:
        return 0
    (graph,) = model.subgraphs
    sizes = [0 if buffer.data is None else len(buffer.data) for buffer in model.buffers]
    weights = [
        sum(sizes[graph.tensors[tensor].buffer] for tensor in operator.inputs if tensor >= 0)
        for operator in graph.operators
    ]
    return int(np.searchsorted(np.cumsum(weights), share * sum(weights), side="right"))


def _layers(model: Any, rounded: Any) -> Iterator[_Layer]:
    """Yields the float model's operations that have a bias and whose weights `rounded` rounds."""
    for operator, quantized in zip(_operators(model), _operators(rounded), strict=True):
        weights, bias = (_constant(model, operator, place) for place in (_WEIGHTS, _BIAS))
        kept = _constant(rounded, quantized, _WEIGHTS)
        if weights is None or bias is None or kept is None:
            continue
        if not np.array_equal(kept, weights):  # else it stays float32
            yield _Layer(operator, _code(model, operator), kept - weights, bias)


def _operators(model: Any) -> list[Any]:
    (graph,) = model.subgraphs
    return [operator for operator in graph.operators if _code(model, operator) in _KINDS]


def _code(model: Any, operator: Any) -> int:
    code: int = model.operatorCodes[operator.opcodeIndex].builtinCode
    return code


def _constant(model: Any, operator: Any, place: int) -> _Array | None:
    """Returns an input of an operation as numbers; None if it has none, or no constant."""
    (graph,) = model.subgraphs
    if len(operator.inputs) <= place or operator.inputs[place] < 0:
        return None
    tensor = graph.tensors[operator.inputs[place]]
    data = model.buffers[tensor.buffer].data
    if data is None:
        return None
    values: _Array
    if tensor.type == schema.TensorType.FLOAT32:
        values = np.frombuffer(bytes(data), np.float32).reshape(tensor.shape)
        return values
    # One step for the whole, or one for each channel: it is written beside the weights.
    steps = np.asarray(tensor.quantization.scale, np.float32)
    along = [1] * len(tensor.shape)
    along[tensor.quantization.quantizedDimension] = len(steps)
    values = np.frombuffer(bytes(data), np.int8).reshape(tensor.shape) * steps.reshape(along)
    return values


def _shifts(exact: bytes, layers: Sequence[_Layer], sample: Sequence[_Array]) -> list[_Array]:
    """Returns by how much rounded weights shift each layer's mean output, float32 [out].

    Each layer gets the inputs that it has in `exact`, the float model.
    """
    interpreter = tf.lite.Interpreter(model_content=exact, experimental_preserve_all_tensors=True)
    interpreter.allocate_tensors()
    (pixels,) = interpreter.get_input_details()
    shifts = [np.zeros_like(layer.bias) for layer in layers]
    for image in sample:
        interpreter.set_tensor(pixels["index"], image)
        interpreter.invoke()
        for number, layer in enumerate(layers):
            added = _added(layer, interpreter.get_tensor(layer.operator.inputs[0]))
            shifts[number] += added.reshape(-1, len(layer.bias)).mean(axis=0) / len(sample)
    return shifts


def _added(layer: _Layer, seen: _Array) -> _Array:
    """Returns the change that rounded weights make to a layer's output for the input `seen`."""
    added: _Array
    if layer.code == schema.BuiltinOperator.FULLY_CONNECTED:
        added = seen.reshape(-1, layer.rounding.shape[1]) @ layer.rounding.T
        return added
    options = layer.operator.builtinOptions
    where = {
        "strides": [1, options.strideH, options.strideW, 1],
        "padding": "SAME" if options.padding == schema.Padding.SAME else "VALID",
        "dilations": [options.dilationHFactor, options.dilationWFactor],
    }
    if layer.code == schema.BuiltinOperator.CONV_2D:
        added = tf.nn.conv2d(seen, layer.rounding.transpose(1, 2, 3, 0), **where).numpy()
    else:
        shape = (*layer.rounding.shape[1:3], seen.shape[-1], -1)
        added = tf.nn.depthwise_conv2d(seen, layer.rounding.reshape(shape), **where).numpy()
    return added


def _set_bias(model: Any, operator: Any, bias: _Array) -> None:
    """Gives an operation a bias of its own, as operations may share one."""
    (graph,) = model.subgraphs
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(bias.tobytes(), np.uint8)
    model.buffers.append(buffer)
    tensor = copy.copy(graph.tensors[operator.inputs[_BIAS]])
    tensor.buffer = len(model.buffers) - 1
    graph.tensors.append(tensor)
    operator.inputs[_BIAS] = len(graph.tensors) - 1
