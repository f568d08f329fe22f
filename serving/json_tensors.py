"""REST bodies to arrays and back, as TF Serving maps them; pure functions.

Source: tensorflow/serving, util/json_tensor.cc and g3doc/api_rest.md.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import meta_graph_pb2

from serving.errors import Code, RefusedError, invalid

Array = npt.NDArray[Any]

_DEEPEST = 32  # NumPy's limit on dimensions
_SHOWN_BYTES = 256
_INT32 = (-(2**31), 2**31 - 1)
# What the JSON parser of TF Serving takes for each type; narrow integers are parsed as int32.
_INTEGERS = {
    types_pb2.DT_INT32: _INT32,
    types_pb2.DT_INT16: _INT32,
    types_pb2.DT_INT8: _INT32,
    types_pb2.DT_UINT8: _INT32,
    types_pb2.DT_INT64: (-(2**63), 2**63 - 1),
    types_pb2.DT_UINT32: (0, 2**32 - 1),
    types_pb2.DT_UINT64: (0, 2**64 - 1),
}
_NUMPY: dict[int, Any] = {
    types_pb2.DT_FLOAT: np.float32,
    types_pb2.DT_DOUBLE: np.float64,
    types_pb2.DT_INT32: np.int32,
    types_pb2.DT_INT16: np.int16,
    types_pb2.DT_INT8: np.int8,
    types_pb2.DT_UINT8: np.uint8,
    types_pb2.DT_INT64: np.int64,
    types_pb2.DT_UINT32: np.uint32,
    types_pb2.DT_UINT64: np.uint64,
    types_pb2.DT_BOOL: np.bool_,
    types_pb2.DT_STRING: np.object_,
}
_WRITABLE = frozenset("fiubO")


@dataclass(frozen=True)
class PredictBody:
    """The inputs of a predict request.

    `by_row` tells whether they came as `instances`, which asks for `predictions` in return.
    """

    inputs: dict[str, Array]
    by_row: bool


def type_name(dtype: int) -> str:
    """Returns a type's name as TensorFlow's messages have it, such as float or string."""
    return str(types_pb2.DataType.Name(dtype))[len("DT_") :].lower()


def parse(body: bytes) -> dict[str, Any]:
    """Parses a request's body.

    What follows the object is passed over, NaN and Infinity are numbers, and bytes that are not
    UTF-8 come through unchanged, all as in TF Serving.

    Raises:
        RefusedError: it is not JSON, or not an object.
    """
    if not body:
        raise invalid("JSON Parse error: The document is empty")
    text = body.decode("utf-8-sig", "surrogateescape")
    start = len(text) - len(text.lstrip(" \t\r\n"))
    try:
        document, _ = json.JSONDecoder().raw_decode(text, start)
    except json.JSONDecodeError as error:
        raise invalid(f"JSON Parse error: {error.msg} at offset: {error.pos}") from None
    except RecursionError:
        raise invalid("JSON Parse error: The document is nested too deeply") from None
    except ValueError:
        raise invalid("JSON Parse error: Number too big to be stored") from None
    if not isinstance(document, dict):
        raise invalid(f"JSON Value: {shown(document)} Is not object")
    return document


def signature_name(document: Mapping[str, Any]) -> str:
    """Returns the signature that a body asks for; empty where it names none.

    Raises:
        RefusedError: the name is not a string.
    """
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise invalid(
            f"JSON Value: {shown(document)} not formatted correctly."
            " 'signature_name' key must be a string value."
        )
    return name


def predict_body(
    document: Mapping[str, Any], infos: Mapping[str, meta_graph_pb2.TensorInfo]
) -> PredictBody:
    """Reads the inputs of a predict request, in row or column form.

    Args:
        document: the parsed body.
        infos: the signature's inputs.

    Returns:
        An array for each input, of the signature's dtype; strings are bytes in object arrays.

    Raises:
        RefusedError: the body has both forms or none, a value does not fit its input's dtype, a
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
        return PredictBody(_rows(instances, infos), by_row=True)
    if "inputs" in document:
        return PredictBody(_columns(document["inputs"], infos), by_row=False)
    raise invalid("Missing 'inputs' or 'instances' key")


def predictions(outputs: Mapping[str, Array], by_row: bool) -> bytes:
    """Writes the answer to a predict request.

    Args:
        outputs: arrays by name; strings are bytes in object arrays.
        by_row: whether to write `predictions`, for which all arrays must have one row for each
            instance, or `outputs`.

    Raises:
        RefusedError: there is no output, one has no or another number of rows, or JSON has no
            form for its dtype.
    """
    if not outputs:
        raise invalid("Cannot convert empty tensor map to JSON")
    if by_row:
        _check_rows(outputs)
    values = {name: _listed(name, outputs[name]) for name in sorted(outputs)}
    if not by_row:
        return written({"outputs": values if len(values) > 1 else next(iter(values.values()))})
    if len(values) == 1:
        return written({"predictions": next(iter(values.values()))})
    rows = [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]
    return written({"predictions": rows})


def written(document: Any) -> bytes:
    """Writes JSON, with NaN and Infinity as numbers and strings in UTF-8 (or as they came)."""
    text = json.dumps(document, ensure_ascii=False)
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")


def shown(value: Any) -> str:
    """Shows the beginning of a value in a message."""
    text = ""
    try:
        for part in json.JSONEncoder(ensure_ascii=False).iterencode(value):
            text += part[:_SHOWN_BYTES]
            if len(text) >= _SHOWN_BYTES:
                return text[:_SHOWN_BYTES]
    except RecursionError:
        pass
    return text


def json_type(value: Any) -> str:
    """Names a value's JSON type as TF Serving's messages do."""
    if isinstance(value, bool):
        return str(value)
    names = {dict: "Object", list: "Array", str: "String", type(None): "Null"}
    return names.get(type(value), "Number")


def is_base64(value: Any) -> bool:
    """Tells whether a value is binary data: an object with one string under `b64`."""
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get("b64"), str)


def bytes_of(value: Any) -> bytes:
    """Returns the bytes of a JSON string or of a base64 object.

    Raises:
        RefusedError: an object that is not base64 data, or a string that has no bytes.
    """
    try:
        if isinstance(value, str):
            return value.encode("utf-8", "surrogateescape")
        if not is_base64(value):
            raise invalid(f"JSON Value: {shown(value)} not formatted correctly for base64 data")
        return _unbase64(value["b64"])
    except UnicodeEncodeError:
        raise invalid("JSON Parse error: The surrogate pair in string is invalid.") from None


def _unbase64(text: str) -> bytes:
    try:
        encoded = text.encode("ascii")
        # Padding may be left out, and line breaks may stand anywhere.
        if len(encoded) % 4 or b"\n" in encoded or b" " in encoded:
            encoded = re.sub(rb"\s+", b"", encoded).rstrip(b"=")
            encoded += b"=" * (-len(encoded) % 4)
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise invalid("Unable to base64 decode") from None


@dataclass
class _Column:
    """One input, gathered row by row."""

    shape: tuple[int, ...]
    values: list[Any] = field(default_factory=list)
    rows: int = 0


def _rows(instances: list[Any], infos: Mapping[str, meta_graph_pb2.TensorInfo]) -> dict[str, Array]:
    if not isinstance(instances[0], dict) and len(infos) > 1:
        raise invalid(
            "instances is a plain list, but expecting list of objects as multiple"
            " input tensors required as per tensorinfo_map"
        )
    named = _is_named(instances[0])
    columns: dict[str, _Column] = {}
    for number, instance in enumerate(instances):
        if named and not _is_named(instance):
            raise invalid(f"Expecting object but got list at item {number} of input list")
        if not named and _is_named(instance):
            raise invalid(f"Expecting value/list but got object at item {number} of input list")
        items = instance if named else {min(infos): instance}
        for name, value in items.items():
            try:
                _add(value, name, infos, columns)
            except RefusedError as error:
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
        name: _packed(column.values, (column.rows, *column.shape), infos[name].dtype)
        for name, column in columns.items()
    }


def _is_named(instance: Any) -> bool:
    return isinstance(instance, dict) and not is_base64(instance)


def _add(
    value: Any,
    name: str,
    infos: Mapping[str, meta_graph_pb2.TensorInfo],
    columns: dict[str, _Column],
) -> None:
    if name not in infos:
        raise invalid(f"JSON object: does not have named input: {name}")
    shape = _shape(value)
    column = columns.setdefault(name, _Column(shape))
    before = len(column.values)
    _gather(value, shape, 0, infos[name].dtype, column.values)
    if len(column.values) - before != int(np.prod(column.shape)):
        size, got = int(np.prod(column.shape)), len(column.values) - before
        raise invalid(f"Expecting tensor size: {size} but got: {got}")
    if shape != column.shape:
        raise invalid(f"Expecting shape {_bracketed(column.shape)} but got: {_bracketed(shape)}")
    column.rows += 1


def _columns(value: Any, infos: Mapping[str, meta_graph_pb2.TensorInfo]) -> dict[str, Array]:
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
    """Returns the shape that the first element of each list stands for."""
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
    """Appends the values of nested lists, which must have the shape."""
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
    # Pixels come by the hundred thousand: numbers of a list are checked all at once.
    if level == len(shape) - 1 and _all_fit(value, dtype):
        into.extend(value)
        return
    for element in value:
        _gather(element, shape, level + 1, dtype, into)


def _all_fit(values: list[Any], dtype: int) -> bool:
    kinds = set(map(type, values))
    if dtype in (types_pb2.DT_FLOAT, types_pb2.DT_DOUBLE):
        return kinds <= {int, float}
    if dtype in _INTEGERS:
        least, most = _INTEGERS[dtype]
        return kinds == {int} and least <= min(values) and max(values) <= most
    return dtype == types_pb2.DT_BOOL and kinds == {bool}


def _scalar(value: Any, dtype: int) -> Any:
    if dtype not in _NUMPY:
        raise RefusedError(
            Code.UNIMPLEMENTED,
            f"Conversion of JSON Value: {shown(value)} to type: {type_name(dtype)}",
        )
    if dtype == types_pb2.DT_STRING and isinstance(value, (str, dict)):
        return bytes_of(value)
    if _all_fit([value], dtype):
        return value
    raise invalid(
        f"JSON Value: {shown(value)} Type: {json_type(value)}"
        f" is not of expected type: {type_name(dtype)}"
    )


def _packed(values: list[Any], shape: tuple[int, ...], dtype: int) -> Array:
    if dtype not in _NUMPY:
        raise RefusedError(
            Code.UNIMPLEMENTED, f"Conversion of JSON Value: [] to type: {type_name(dtype)}"
        )
    if dtype == types_pb2.DT_STRING:
        strings = np.empty(len(values), np.object_)
        strings[:] = values
        return strings.reshape(shape)
    # As wide as what was parsed, so that narrowing wraps around as it does in TF Serving.
    wide: Any = np.float64
    if dtype in _INTEGERS:
        wide = np.uint64 if dtype == types_pb2.DT_UINT64 else np.int64
    try:
        with np.errstate(over="ignore"):
            return np.array(values, wide).astype(_NUMPY[dtype]).reshape(shape)
    except OverflowError:
        raise invalid("JSON Parse error: Number too big to be stored in double.") from None


def _bracketed(shape: tuple[int, ...]) -> str:
    return f"[{','.join(map(str, shape))}]"


def _check_rows(outputs: Mapping[str, Array]) -> None:
    expected = -1
    for name in sorted(outputs):
        array = outputs[name]
        if array.ndim == 0:
            raise invalid(f"Tensor name: {name} has no shape information ")
        if expected not in (-1, len(array)):
            raise invalid(
                f"Tensor name: {name} has inconsistent batch size: {len(array)}"
                f" expecting: {expected}"
            )
        expected = len(array)


def _listed(name: str, array: Array) -> Any:
    if array.dtype.kind not in _WRITABLE or array.dtype == np.float16:
        raise invalid(f"Failed to write JSON value for tensor type: {array.dtype.name}")
    if array.dtype == np.float32:
        # Through the shortest decimal that reads back as the same float32: 0.2, not 0.200000003.
        return array.astype("U").astype(np.float64).tolist()
    if array.dtype.kind != "O":
        return array.tolist()
    converted = np.empty(array.size, np.object_)
    for position, value in enumerate(_texts(array, as_base64=name.endswith("_bytes"))):
        converted[position] = value
    return converted.reshape(array.shape).tolist()


def _texts(array: Array, as_base64: bool) -> Iterator[Any]:
    for value in array.flat:
        raw = value if isinstance(value, bytes) else str(value).encode()
        if as_base64:
            yield {"b64": base64.b64encode(raw).decode("ascii")}
        else:
            yield raw.decode("utf-8", "surrogateescape")
