"""What a SavedModel's signatures take and give; pure functions on their protos.

Source: tensorflow/serving, servables/tensorflow: predict_util.cc, classifier.cc, regressor.cc.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2, tensor_shape_pb2, types_pb2
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import classification_pb2, input_pb2, regression_pb2

from serving import json_tensors
from serving.errors import Code, RefusedError, invalid
from serving.json_tensors import Array

DEFAULT = "serving_default"
CLASSIFY_METHOD = "tensorflow/serving/classify"
REGRESS_METHOD = "tensorflow/serving/regress"
_EXAMPLES = "inputs"
_CLASSES, _SCORES, _OUTPUTS = "classes", "scores", "outputs"

# Where TensorProto keeps values of each type.
_FIELDS = {
    types_pb2.DT_FLOAT: "float_val",
    types_pb2.DT_DOUBLE: "double_val",
    types_pb2.DT_INT32: "int_val",
    types_pb2.DT_INT16: "int_val",
    types_pb2.DT_INT8: "int_val",
    types_pb2.DT_UINT8: "int_val",
    types_pb2.DT_INT64: "int64_val",
    types_pb2.DT_UINT32: "uint32_val",
    types_pb2.DT_UINT64: "uint64_val",
    types_pb2.DT_BOOL: "bool_val",
    types_pb2.DT_STRING: "string_val",
}

Signatures = Mapping[str, meta_graph_pb2.SignatureDef]


@dataclass(frozen=True)
class Call:
    """What to compute: a signature, its inputs by name, and the names of the outputs wanted."""

    signature: str
    inputs: Mapping[str, Array]
    outputs: tuple[str, ...]


def predict_call(
    signatures: Signatures, name: str, inputs: Mapping[str, Array], output_filter: Sequence[str]
) -> Call:
    """Checks a predict request against its signature.

    Args:
        signatures: the model's.
        name: the signature's name; empty for the default one.
        inputs: arrays by input name; strings are bytes in object arrays.
        output_filter: the outputs wanted; none means all.

    Raises:
        RefusedError: there is no such signature, or names, dtypes or shapes do not fit it.
    """
    key = name or DEFAULT
    if key not in signatures:
        raise RefusedError(Code.FAILED_PRECONDITION, f'Serving signature key "{key}" not found.')
    signature = signatures[key]
    if inputs.keys() != signature.inputs.keys():
        raise invalid(_wrong_names(inputs.keys(), signature.inputs.keys()))
    for alias, array in inputs.items():
        _check_input(alias, array, signature.inputs[alias])
    for position, alias in enumerate(output_filter):
        if alias not in signature.outputs:
            raise invalid(
                f"output tensor alias not found in signature: {alias} Outputs expected to be in"
                f" the set {{{','.join(sorted(signature.outputs))}}}."
            )
        if alias in output_filter[:position]:
            raise invalid(f"duplicate output tensor alias: {alias}")
    return Call(key, dict(inputs), tuple(output_filter) or tuple(sorted(signature.outputs)))


def classify_call(signatures: Signatures, name: str, examples: input_pb2.Input) -> Call:
    """Checks a classify request against its signature.

    Raises:
        RefusedError: there is no such signature, it has not the form of a classifier, or the
            request holds no examples.
    """
    signature = _example_signature(signatures, name)
    if len(signature.outputs) not in (1, 2):
        raise invalid(f"Expected one or two output Tensors, found {len(signature.outputs)}")
    if _EXAMPLES not in signature.inputs:
        raise invalid(f"No classification inputs found in SignatureDef: {signature}")
    wanted = tuple(alias for alias in (_CLASSES, _SCORES) if alias in signature.outputs)
    if not wanted:
        raise invalid(
            "Expected classification signature outputs to contain at least one of"
            f' "{_CLASSES}" or "{_SCORES}". Signature was: {signature}'
        )
    return _example_call(signature, name, examples, wanted)


def regress_call(signatures: Signatures, name: str, examples: input_pb2.Input) -> Call:
    """Checks a regress request against its signature.

    Raises:
        RefusedError: there is no such signature, it has not the form of a regressor, as is so with
            every classifier, or the request holds no examples.
    """
    signature = _example_signature(signatures, name)
    if len(signature.outputs) != 1:
        raise invalid("Expected one output Tensor.")
    if _EXAMPLES not in signature.inputs:
        raise invalid(f"No regression inputs found in SignatureDef: {signature}")
    if _OUTPUTS not in signature.outputs:
        raise invalid(f"No regression outputs found in SignatureDef: {signature}")
    return _example_call(signature, name, examples, (_OUTPUTS,))


def classification_result(
    outputs: Mapping[str, Array], examples: int
) -> classification_pb2.ClassificationResult:
    """Makes the answer to a classify request.

    Args:
        outputs: `classes` string or `scores` float32 or both, each [examples, classes].
        examples: how many were sent.

    Raises:
        RefusedError: the outputs have other dtypes or shapes.
    """
    for alias, kind, dtype in ((_CLASSES, "O", "DT_STRING"), (_SCORES, "f", "DT_FLOAT")):
        if alias not in outputs:
            continue
        array = outputs[alias]
        if array.ndim != 2:
            raise invalid(
                f"Expected Tensor shape: [batch_size num_classes] but got {list(array.shape)}"
            )
        if array.dtype.kind != kind:
            raise invalid(f"Expected {alias} Tensor of {dtype}. Got: {array.dtype.name}")
        if len(array) != examples:
            raise invalid(f"Expected {alias} output batch size of {examples}. Got: {len(array)}")
    classes, scores = outputs.get(_CLASSES), outputs.get(_SCORES)
    if classes is not None and scores is not None and classes.shape != scores.shape:
        raise invalid(
            "Tensors class and score should match in dim_size(1)."
            f" Got {classes.shape[1]} vs. {scores.shape[1]}"
        )
    result = classification_pb2.ClassificationResult()
    count = next(iter(outputs.values())).shape[1]
    for row in range(examples):
        added = result.classifications.add().classes
        for column in range(count):
            one = added.add()
            if classes is not None:
                one.label = classes[row, column].decode("utf-8", "replace")
            if scores is not None:
                one.score = scores[row, column]
    return result


def regression_result(
    outputs: Mapping[str, Array], examples: int
) -> regression_pb2.RegressionResult:
    """Makes the answer to a regress request from `outputs` float32 [examples] or [examples, 1].

    Raises:
        RefusedError: the output has another dtype or shape.
    """
    array = outputs[_OUTPUTS]
    if array.shape not in ((examples,), (examples, 1)):
        raise invalid(
            "Expected output Tensor shape to be either [batch_size] or [batch_size, 1]"
            f" but got {list(array.shape)}"
        )
    if array.dtype != np.float32:
        raise invalid(f"Expected output Tensor of DT_FLOAT.  Got: {array.dtype.name}")
    result = regression_pb2.RegressionResult()
    for value in array.reshape(-1):
        result.regressions.add().value = value
    return result


def arrays(protos: Mapping[str, tensor_pb2.TensorProto], most_bytes: int) -> dict[str, Array]:
    """Unpacks the inputs of a gRPC request.

    Args:
        protos: tensors by name.
        most_bytes: a tensor that would take more is refused. A proto of a few bytes may stand for
            any number of equal elements, so the size of the message bounds nothing.

    Raises:
        RefusedError: a tensor is too large, or its content does not fit its shape and dtype.
    """
    unpacked = {}
    for name, proto in protos.items():
        sizes = [dimension.size for dimension in proto.tensor_shape.dim]
        if proto.tensor_shape.unknown_rank or any(size < 0 for size in sizes):
            raise invalid(f"Tensor {name} has no complete shape: {_brackets(sizes)}")
        try:
            # A string's slot in an object array takes eight bytes.
            width = max(tf.dtypes.as_dtype(proto.dtype).size or 0, 1)
            elements = 1
            for size in sizes:
                elements *= size
            if elements * (8 if proto.dtype == tf.string.as_datatype_enum else width) > most_bytes:
                raise invalid(f"Tensor {name} of shape {_brackets(sizes)} is too large")
            unpacked[name] = np.asarray(tf.make_ndarray(proto))
        except RefusedError:
            raise
        except Exception as error:
            raise invalid(f"Tensor {name} could not be unpacked: {error}") from None
    return unpacked


def tensor_proto(array: Array) -> tensor_pb2.TensorProto:
    """Packs an output for a gRPC answer.

    Values stand in the fields of their type, as in TF Serving's answers, for callers that read
    `float_val` themselves; types without a field of their own are packed as bytes.
    """
    dtype = tf.dtypes.as_dtype(array.dtype).as_datatype_enum
    if dtype not in _FIELDS:
        return tf.make_tensor_proto(array)
    proto = tensor_pb2.TensorProto(dtype=dtype)
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    getattr(proto, _FIELDS[dtype]).extend(array.reshape(-1).tolist())
    return proto


def batchable(signature: meta_graph_pb2.SignatureDef, outputs: Iterable[str]) -> bool:
    """Tells whether requests may be put together along the first dimension of all tensors."""
    infos = [*signature.inputs.values(), *(signature.outputs[alias] for alias in outputs)]
    return all(
        not info.tensor_shape.unknown_rank
        and len(info.tensor_shape.dim) > 0
        and info.tensor_shape.dim[0].size == -1
        for info in infos
    )


def rows(inputs: Mapping[str, Array]) -> int | None:
    """Returns the first dimension that all inputs share; None where they do not."""
    found = {len(array) if array.ndim else None for array in inputs.values()}
    return found.pop() if len(found) == 1 else None


def _example_signature(signatures: Signatures, name: str) -> meta_graph_pb2.SignatureDef:
    key = name or DEFAULT
    if key not in signatures:
        raise invalid(f"No signature was found with the name: {key}")
    if len(signatures[key].inputs) != 1:
        raise invalid("Expected one input Tensor.")
    return signatures[key]


def _example_call(
    signature: meta_graph_pb2.SignatureDef,
    name: str,
    examples: input_pb2.Input,
    outputs: tuple[str, ...],
) -> Call:
    serialized = _serialized(examples)
    if not serialized:
        raise invalid("Input is empty.")
    array = np.empty(len(serialized), np.object_)
    array[:] = serialized
    _check_input(_EXAMPLES, array, signature.inputs[_EXAMPLES])
    return Call(name or DEFAULT, {_EXAMPLES: array}, outputs)


def _serialized(examples: input_pb2.Input) -> list[bytes]:
    if examples.WhichOneof("kind") == "example_list_with_context":
        listed = examples.example_list_with_context
        # Protos that are concatenated are merged when they are parsed.
        context = listed.context.SerializeToString()
        return [context + example.SerializeToString() for example in listed.examples]
    return [example.SerializeToString() for example in examples.example_list.examples]


def _check_input(alias: str, array: Array, info: meta_graph_pb2.TensorInfo) -> None:
    found = tf.dtypes.as_dtype(array.dtype).as_datatype_enum
    if found != info.dtype:
        raise invalid(
            f"Expects input {alias} to be {json_tensors.type_name(info.dtype)}"
            f" but {json_tensors.type_name(found)} is provided"
        )
    if not _fits(array.shape, info.tensor_shape):
        sizes = [dimension.size for dimension in info.tensor_shape.dim]
        raise invalid(
            f"Expects input {alias} to have shape {_brackets(sizes)}"
            f" but {_brackets(array.shape)} is provided"
        )


def _fits(shape: Sequence[int], wanted: tensor_shape_pb2.TensorShapeProto) -> bool:
    if wanted.unknown_rank:
        return True
    sizes = [dimension.size for dimension in wanted.dim]
    return len(shape) == len(sizes) and all(
        size in (-1, found) for found, size in zip(shape, sizes, strict=True)
    )


def _wrong_names(sent: Iterable[Any], wanted: Iterable[Any]) -> str:
    sent, wanted = sorted(sent), sorted(wanted)
    extra = [name for name in sent if name not in wanted]
    missing = [name for name in wanted if name not in sent]
    return (
        f"input size does not match signature: {len(sent)}!={len(wanted)}"
        f" len({{{','.join(sent)}}}) != len({{{','.join(wanted)}}})."
        f" Sent extra: {{{','.join(extra)}}}. Missing but required: {{{','.join(missing)}}}."
    )


def _brackets(sizes: Iterable[int]) -> str:
    return f"[{','.join(map(str, sizes))}]"
