"""Converts NumPy arrays to and from TensorProtos; pure functions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2, types_pb2

from serving.errors import invalid

Array = npt.NDArray[Any]
"""Strings are bytes in object arrays."""

_STRING_BYTES = 8  # the size of an object array's pointer to a string
# dtype -> the field of a TensorProto that holds values of the dtype
_FIELDS: dict[type, str] = {
    np.float32: "float_val",
    np.float64: "double_val",
    **dict.fromkeys((np.int32, np.int16, np.int8, np.uint8), "int_val"),
    np.int64: "int64_val",
    np.uint32: "uint32_val",
    np.uint64: "uint64_val",
    np.bool_: "bool_val",
    np.object_: "string_val",
}


def type_name(dtype: int) -> str:
    """Returns the name of a DataType number in TensorFlow's messages, such as float."""
    return str(types_pb2.DataType.Name(dtype))[len("DT_") :].lower()


def objects(values: Sequence[Any]) -> Array:
    """Returns a one-dimensional object array with an element for each value."""
    array = np.empty(len(values), np.object_)
    array[:] = values
    return array


def bracketed(sizes: Iterable[int]) -> str:
    """Returns a shape in the form of TF Serving's messages, such as [2,-1]."""
    return f"[{','.join(map(str, sizes))}]"


def from_protos(protos: Mapping[str, tensor_pb2.TensorProto], most_bytes: int) -> dict[str, Array]:
    """Converts the inputs of a gRPC request to arrays, by name.

    `most_bytes` limits the size of each array, because a proto of a few bytes can describe any
    number of equal elements.

    Raises:
        ServingError: a tensor is too large, or its content does not fit its shape and dtype.
    """
    return {name: _from_proto(name, proto, most_bytes) for name, proto in protos.items()}


def _from_proto(name: str, proto: tensor_pb2.TensorProto, most_bytes: int) -> Array:
    sizes = [dimension.size for dimension in proto.tensor_shape.dim]
    if proto.tensor_shape.unknown_rank or any(size < 0 for size in sizes):
        raise invalid(f"Tensor {name} has no complete shape: {bracketed(sizes)}")
    try:
        dtype = tf.dtypes.as_dtype(proto.dtype)
        width = _STRING_BYTES if dtype == tf.string else max(dtype.size or 0, 1)
        fits = math.prod(sizes) * width <= most_bytes
        array = np.asarray(tf.make_ndarray(proto)) if fits else None
    except Exception as error:
        raise invalid(f"Tensor {name} could not be unpacked: {error}") from None
    if array is None:
        raise invalid(f"Tensor {name} of shape {bracketed(sizes)} is too large")
    return array


def to_proto(array: Array) -> tensor_pb2.TensorProto:
    """Converts an output to a TensorProto for a gRPC answer.

    As in TF Serving's answers, values are in the field of their dtype, because some clients read
    `float_val` themselves. Values of a dtype without a field are packed as bytes.
    """
    field = _FIELDS.get(array.dtype.type)
    if field is None:
        return tf.make_tensor_proto(array)
    proto = tensor_pb2.TensorProto(dtype=tf.dtypes.as_dtype(array.dtype).as_datatype_enum)
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    getattr(proto, field).extend(array.reshape(-1).tolist())
    return proto
