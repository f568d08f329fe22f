"""Bodies of predict: reads arrays from JSON and writes arrays as JSON; pure functions.

Source: tensorflow/serving, util/json_tensor.cc and g3doc/api_rest.md.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from grpc import StatusCode
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import meta_graph_pb2

from serving import tensors
from serving.errors import ServingError, invalid
from serving.json_text import bytes_of, is_base64, json_type, shown, written
from serving.tensors import Array, bracketed, type_name

_DEEPEST = 32  # NumPy's limit on dimensions
_FLOATS = frozenset({types_pb2.DT_FLOAT, types_pb2.DT_DOUBLE})
# dtype -> the least and largest integer that TF Serving reads; it reads narrow integers as int32.
_INTEGERS = {
    **dict.fromkeys(
        (types_pb2.DT_INT32, types_pb2.DT_INT16, types_pb2.DT_INT8, types_pb2.DT_UINT8),
        (-(2**31), 2**31 - 1),
    ),
    types_pb2.DT_INT64: (-(2**63), 2**63 - 1),
    types_pb2.DT_UINT32: (0, 2**32 - 1),
    types_pb2.DT_UINT64: (0, 2**64 - 1),
}
_READABLE = {*_FLOATS, *_INTEGERS, types_pb2.DT_BOOL, types_pb2.DT_STRING}
_WRITABLE = frozenset("fiubO")

Infos = Mapping[str, meta_graph_pb2.TensorInfo]


def predict_body(document: Mapping[str, Any], infos: Infos) -> tuple[dict[str, Array], bool]:
    """Reads a predict request's inputs by row (`instances`) or by column (`inputs`).

    Returns:
        Input name -> array of the signature's dtype; and True if the inputs were given by row, in
        which form the answer must be too.

    Raises:
        ServingError: the body has both forms or none, a value does not fit its input's dtype, a
            list is ragged, or an input is missing.
    """
    if "instances" in document:
        if "inputs" in document:
            raise invalid(
                f"JSON Value: {shown(document)} Not formatted correctly expecting only"
                " one of 'inputs' or 'instances' keys to exist "
            )
        instances = document["instances"]
        if not isinstance(instances, list):
            raise invalid(
                f"JSON Value: {shown(document)} Expecting 'instances' to be an list/array"
            )
        if not instances:
            raise invalid(f"JSON Value: {shown(document)} No values in 'instances' array")
        return _rows(instances, infos), True
    if "inputs" in document:
        return _columns(document["inputs"], infos), False
    raise invalid("Missing 'inputs' or 'instances' key")


def predictions(outputs: Mapping[str, Array], by_row: bool) -> bytes:
    """Returns the JSON body of a predict answer.

    `by_row` writes `predictions`, one value for each instance, so that all arrays need the same
    number of rows; otherwise the body has `outputs`, one value for each array.

    Raises:
        ServingError: there is no output, arrays written by row differ in their number of rows, or
            a dtype cannot be written as JSON.
    """
    if not outputs:
        raise invalid("Cannot convert empty tensor map to JSON")
    if by_row:
        _check_rows(outputs)
    values = {name: _listed(name, outputs[name]) for name in sorted(outputs)}
    told: Any = values
    if len(values) == 1:
        (told,) = values.values()
    elif by_row:
        told = [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]
    return written({"predictions" if by_row else "outputs": told})


def _rows(instances: list[Any], infos: Infos) -> dict[str, Array]:
    named = _is_named(instances[0])
    if not isinstance(instances[0], dict) and len(infos) > 1:
        raise invalid(
            "instances is a plain list, but expecting list of objects as multiple"
            " input tensors required as per tensorinfo_map"
        )
    wanted, other = ("object", "list") if named else ("value/list", "object")
    shapes: dict[str, tuple[int, ...]] = {}
    values: dict[str, list[Any]] = {}
    for number, instance in enumerate(instances):
        if named != _is_named(instance):
            raise invalid(f"Expecting {wanted} but got {other} at item {number} of input list")
        items = instance if named else {min(infos): instance}
        for name, value in items.items():
            try:
                if name not in infos:
                    raise invalid(f"JSON object: does not have named input: {name}")
                shape = _shape(value)
                into = values.setdefault(name, [])
                _add_row(value, shape, shapes.setdefault(name, shape), infos[name].dtype, into)
            except ServingError as error:
                key = f" key: {name}" if named else ""
                raise invalid(
                    f"Failed to process element: {number}{key} of 'instances' list."
                    f" Error: {error.code.name}: {error.message}"
                ) from None
        if named and items.keys() != infos.keys():
            raise invalid(
                f"Failed to process element: {number} of 'instances' list. JSON object:"
                f" {shown(instance)} keys must be equal to: {','.join(sorted(infos))}"
            )
    return {
        name: _packed(values[name], (len(instances), *shape), infos[name].dtype)
        for name, shape in shapes.items()
    }


def _is_named(instance: Any) -> bool:
    return isinstance(instance, dict) and not is_base64(instance)


def _add_row(
    value: Any, shape: tuple[int, ...], first: tuple[int, ...], dtype: int, into: list[Any]
) -> None:
    """Appends a row's values to `into`; `shape` must equal the first row's shape, `first`."""
    before = len(into)
    _gather(value, shape, 0, dtype, into)
    size, got = math.prod(first), len(into) - before
    if got != size:
        raise invalid(f"Expecting tensor size: {size} but got: {got}")
    if shape != first:
        raise invalid(f"Expecting shape {bracketed(first)} but got: {bracketed(shape)}")


def _columns(value: Any, infos: Infos) -> dict[str, Array]:
    if not _is_named(value):
        if len(infos) > 1:
            raise invalid(
                "inputs is a plain value/list, but expecting an object as multiple"
                " input tensors required as per tensorinfo_map"
            )
        value = {min(infos): value}
    inputs = {}
    for name, info in infos.items():
        if name not in value:
            raise invalid(f"Missing named input: {name} in 'inputs' object.")
        shape = _shape(value[name])
        values: list[Any] = []
        _gather(value[name], shape, 0, info.dtype, values)
        inputs[name] = _packed(values, shape, info.dtype)
    return inputs


def _shape(value: Any) -> tuple[int, ...]:
    """Returns the shape of nested lists, found by the first element of each list."""
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        if not value:
            break
        value = value[0]
    if len(shape) >= _DEEPEST:
        raise invalid(f"Encountered list at unexpected level: {_DEEPEST} expected < {_DEEPEST}")
    return tuple(shape)


def _gather(value: Any, shape: tuple[int, ...], level: int, dtype: int, into: list[Any]) -> None:
    """Appends the values of nested lists of the given shape to `into`; `level` is the depth."""
    if not isinstance(value, list):
        if level != len(shape):
            raise invalid(
                f"JSON Value: {shown(value)} found at incorrect level: {level + 1}"
                f" in the JSON DOM. Expected at level: {len(shape)}"
            )
        into.append(_scalar(value, dtype))
        return
    if level >= len(shape):
        raise invalid(f"Encountered list at unexpected level: {level} expected < {len(shape)}")
    if len(value) != shape[level]:
        raise invalid(
            f"Encountered list at unexpected size: {len(value)} at level: {level}"
            f" expected size: {shape[level]}"
        )
    # A request has hundreds of thousands of pixels, so a list's numbers are checked all at once.
    if level == len(shape) - 1 and _all_fit(value, dtype):
        into.extend(value)
        return
    for element in value:
        _gather(element, shape, level + 1, dtype, into)


def _all_fit(values: list[Any], dtype: int) -> bool:
    kinds = set(map(type, values))
    if dtype in _FLOATS:
        return kinds <= {int, float}
    if dtype in _INTEGERS:
        least, most = _INTEGERS[dtype]
        return kinds == {int} and least <= min(values) and max(values) <= most
    return dtype == types_pb2.DT_BOOL and kinds == {bool}


def _scalar(value: Any, dtype: int) -> Any:
    _check_readable(value, dtype)
    if dtype == types_pb2.DT_STRING and isinstance(value, (str, dict)):
        return bytes_of(value)
    if _all_fit([value], dtype):
        return value
    raise invalid(
        f"JSON Value: {shown(value)} Type: {json_type(value)}"
        f" is not of expected type: {type_name(dtype)}"
    )


def _packed(values: list[Any], shape: tuple[int, ...], dtype: int) -> Array:
    _check_readable([], dtype)
    if dtype == types_pb2.DT_STRING:
        return tensors.objects(values).reshape(shape)
    # As wide as the parsed numbers, so that narrowing wraps around as in TF Serving.
    wide: Any = np.float64
    if dtype in _INTEGERS:
        wide = np.uint64 if dtype == types_pb2.DT_UINT64 else np.int64
    try:
        with np.errstate(over="ignore"):
            narrow = tf.dtypes.as_dtype(dtype).as_numpy_dtype
            return np.array(values, wide).astype(narrow).reshape(shape)
    except OverflowError:
        raise invalid("JSON Parse error: Number too big to be stored in double.") from None


def _check_readable(value: Any, dtype: int) -> None:
    if dtype not in _READABLE:
        raise ServingError(
            StatusCode.UNIMPLEMENTED,
            f"Conversion of JSON Value: {shown(value)} to type: {type_name(dtype)}",
        )


def _check_rows(outputs: Mapping[str, Array]) -> None:
    expected = None
    for name, array in sorted(outputs.items()):
        if array.ndim == 0:
            raise invalid(f"Tensor name: {name} has no shape information ")
        expected = len(array) if expected is None else expected
        if expected != len(array):
            raise invalid(
                f"Tensor name: {name} has inconsistent batch size: {len(array)}"
                f" expecting: {expected}"
            )


def _listed(name: str, array: Array) -> Any:
    if array.dtype.kind not in _WRITABLE or array.dtype == np.float16:
        raise invalid(f"Failed to write JSON value for tensor type: {array.dtype.name}")
    if array.dtype == np.float32:
        # The shortest decimal that reads back as the same float32: 0.2, not 0.200000003.
        return array.astype("U").astype(np.float64).tolist()
    if array.dtype.kind == "O":
        texts = [_text(value, as_base64=name.endswith("_bytes")) for value in array.flat]
        array = tensors.objects(texts).reshape(array.shape)
    return array.tolist()


def _text(value: Any, as_base64: bool) -> Any:
    raw = value if isinstance(value, bytes) else str(value).encode()
    if as_base64:
        return {"b64": base64.b64encode(raw).decode("ascii")}
    return raw.decode("utf-8", "surrogateescape")
