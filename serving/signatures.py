"""Checks requests and outputs against a SavedModel's signatures; pure functions on protos.

Source: tensorflow/serving, servables/tensorflow: predict_util.cc and classifier.cc.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from grpc import StatusCode
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import classification_pb2, input_pb2

from serving import tensors
from serving.errors import ServingError, invalid
from serving.tensors import Array, bracketed, type_name

DEFAULT = "serving_default"
_EXAMPLES = "inputs"
_CLASSES, _SCORES = "classes", "scores"

Signatures = Mapping[str, meta_graph_pb2.SignatureDef]


@dataclass(frozen=True)
class Call:
    """A checked computation: signature name, input name -> array, and names of wanted outputs."""

    signature: str
    inputs: Mapping[str, Array]
    outputs: tuple[str, ...]


def predict_call(
    signatures: Signatures, name: str, inputs: Mapping[str, Array], output_filter: Sequence[str]
) -> Call:
    """Checks a predict request against the signature `name`.

    An empty name means the default signature; an empty `output_filter` means all outputs.

    Raises:
        ServingError: the model lacks the signature, or names, dtypes or shapes do not fit it.
    """
    key = name or DEFAULT
    if key not in signatures:
        raise ServingError(
            StatusCode.FAILED_PRECONDITION, f'Serving signature key "{key}" not found.'
        )
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
    """Checks a classify request against the signature `name`; an empty name means the default.

    Raises:
        ServingError: the model lacks the signature, the signature cannot classify tf.Examples, or
            the request holds no examples.
    """
    key = name or DEFAULT
    if key not in signatures:
        raise invalid(f"No signature was found with the name: {key}")
    signature = signatures[key]
    if len(signature.inputs) != 1:
        raise invalid("Expected one input Tensor.")
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
    serialized = _serialized(examples)
    if not serialized:
        raise invalid("Input is empty.")
    array = tensors.objects(serialized)
    _check_input(_EXAMPLES, array, signature.inputs[_EXAMPLES])
    return Call(key, {_EXAMPLES: array}, wanted)


def classification_result(
    outputs: Mapping[str, Array], examples: int
) -> classification_pb2.ClassificationResult:
    """Converts a classifier's outputs to the result of a classify request.

    Args:
        outputs: `classes` (string), `scores` (float32) or both, of shape [examples, classes].
        examples: the number of examples in the request.

    Raises:
        ServingError: the outputs have other dtypes or shapes.
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
    shape = next(iter(outputs.values())).shape
    classes = outputs.get(_CLASSES, np.full(shape, b"", np.object_))
    scores = outputs.get(_SCORES, np.zeros(shape, np.float32))
    if classes.shape != scores.shape:
        raise invalid(
            "Tensors class and score should match in dim_size(1)."
            f" Got {classes.shape[1]} vs. {scores.shape[1]}"
        )
    result = classification_pb2.ClassificationResult()
    for labels, values in zip(classes, scores, strict=True):
        added = result.classifications.add().classes
        for label, score in zip(labels, values, strict=True):
            added.add(label=label.decode("utf-8", "replace"), score=score)
    return result


def batchable(signature: meta_graph_pb2.SignatureDef, outputs: Iterable[str]) -> bool:
    """Returns whether requests can share a batch: each tensor's first dimension must be free."""
    infos = [*signature.inputs.values(), *(signature.outputs[alias] for alias in outputs)]
    shapes = [tf.TensorShape(info.tensor_shape) for info in infos]
    return all(shape.rank and shape[0] is None for shape in shapes)


def rows(inputs: Mapping[str, Array]) -> int | None:
    """Returns the size of the first dimension if all inputs share it; None otherwise."""
    found = {len(array) if array.ndim else None for array in inputs.values()}
    return found.pop() if len(found) == 1 else None


def _serialized(examples: input_pb2.Input) -> list[bytes]:
    if examples.WhichOneof("kind") == "example_list_with_context":
        listed = examples.example_list_with_context
        # Concatenated protos parse as one merged proto.
        context = listed.context.SerializeToString()
        return [context + example.SerializeToString() for example in listed.examples]
    return [example.SerializeToString() for example in examples.example_list.examples]


def _check_input(alias: str, array: Array, info: meta_graph_pb2.TensorInfo) -> None:
    found = tf.dtypes.as_dtype(array.dtype).as_datatype_enum
    if found != info.dtype:
        raise invalid(
            f"Expects input {alias} to be {type_name(info.dtype)}"
            f" but {type_name(found)} is provided"
        )
    if not tf.TensorShape(info.tensor_shape).is_compatible_with(array.shape):
        sizes = [dimension.size for dimension in info.tensor_shape.dim]
        raise invalid(
            f"Expects input {alias} to have shape {bracketed(sizes)}"
            f" but {bracketed(array.shape)} is provided"
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
