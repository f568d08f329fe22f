"""Reads Torch's legacy checkpoint files with numpy alone; it runs no code from the file.

The format, as `torch.save(..., _use_new_zipfile_serialization=False)` writes it: five pickles (a
magic number, the protocol version, facts about the writing machine, the object itself with each
storage replaced by a persistent id, the list of storage keys), then for each key an int64 count
and that many little-endian elements. A pickle is a program, so each runs in an
unpickler that admits ordered dicts, tensors and storages only.
"""

import collections
import hashlib
import io
import math
import pickle
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001

_DTYPES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "<i1",
    "ByteStorage": "<u1",
    "BoolStorage": "|b1",
}


# Named tuples, not dataclasses: the pickle opcode BUILD cannot alter a tuple.
class _Storage(NamedTuple):
    """A flat buffer of elements, which the file holds after its pickles."""

    dtype: str
    key: str
    length: int


class _Tensor(NamedTuple):
    """A strided window on a storage; offset and strides count elements, not bytes."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_state_dict(path: str | Path, sha256: str | None = None) -> dict[str, NDArray[Any]]:
    """Reads a model's state dict from a legacy (non-zip) Torch checkpoint.

    Source: the reader and writer in torch/serialization.py (`_legacy_load`, `_legacy_save`).

    Args:
        path: the checkpoint file.
        sha256: hex digest that the file must have, checked before unpickling; None for any file.

    Returns:
        Arrays by name, in the file's order. Every array is C-contiguous, owns its data and has the
        shape and element type (float16/32/64, int8/16/32/64, uint8 or bool) of the tensor.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the digest differs, or the file is not a legacy checkpoint that holds a flat
            state dict: wrong magic number, truncated, trailing bytes, a name the unpickler does
            not admit, a tensor that reaches outside its storage.
    """
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such weights file") from None
    except OSError as error:
        raise ValueError(f"{path}: cannot be read as a weights file ({error.strerror})") from None
    if sha256 is not None:
        found = hashlib.sha256(content).hexdigest()
        if found != sha256:
            raise ValueError(f"{path}: sha256 is {found}, expected {sha256}")
    try:
        return _parse(content)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{path}: {error}") from error


def _parse(content: bytes) -> dict[str, NDArray[Any]]:
    if content[:2] == b"PK":
        raise ValueError(
            "a zip checkpoint; only the legacy format is read "
            "(torch.save with _use_new_zipfile_serialization=False)"
        )
    stream = io.BytesIO(content)
    if _load(stream, "magic number") != _MAGIC:
        raise ValueError("not a Torch legacy checkpoint (wrong magic number)")
    if _load(stream, "protocol version") != _PROTOCOL:
        raise ValueError(f"unknown protocol version, only {_PROTOCOL} is read")
    machine = _load(stream, "description of the writing machine")
    if not isinstance(machine, dict) or machine.get("little_endian") is not True:
        raise ValueError("not written on a little-endian machine")
    state = _load(stream, "state dict")
    keys = _load(stream, "list of storages")

    tensors = _check_state(state)
    storages = _read_storages(stream, keys, {t.storage for t in tensors.values()})
    return {name: _materialise(name, tensor, storages) for name, tensor in tensors.items()}


class _Unpickler(pickle.Unpickler):
    """Admits an ordered dict, strided tensors and their storages; every other name is refused."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            # A bound method rather than a function: BUILD cannot set attributes on it.
            return self._rebuild_tensor
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        raise pickle.UnpicklingError(f"refused to load {module}.{name}, which no weights need")

    def persistent_load(self, pid: Any) -> _Storage:
        tag, dtype, key, _location, count, view = pid
        if tag != "storage" or dtype not in _DTYPES.values() or not isinstance(key, str):
            raise pickle.UnpicklingError("a persistent id that does not describe a storage")
        if view is not None:
            raise pickle.UnpicklingError("a storage that is a view of another one")
        return _Storage(dtype, key, _natural(count))

    def _rebuild_tensor(
        self,
        storage: Any,
        offset: Any,
        shape: Any,
        strides: Any,
        _requires_grad: Any,
        _backward_hooks: Any,
        _metadata: Any = None,
    ) -> _Tensor:
        if not isinstance(storage, _Storage):
            raise pickle.UnpicklingError("a tensor without a storage")
        if not isinstance(shape, tuple) or not isinstance(strides, tuple):
            raise pickle.UnpicklingError("a tensor whose shape or strides are not tuples")
        if len(shape) != len(strides):
            raise pickle.UnpicklingError("a tensor with more or fewer strides than dimensions")
        sides, steps = tuple(map(_natural, shape)), tuple(map(_natural, strides))
        return _Tensor(storage, _natural(offset), sides, steps)


def _natural(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise pickle.UnpicklingError(f"expected a count, found {value!r:.40}")
    return value


def _load(stream: io.BytesIO, what: str) -> Any:
    try:
        return _Unpickler(stream).load()
    except Exception as error:
        # A damaged or hostile pickle can raise nearly anything: EOFError, KeyError, TypeError,
        # struct.error, RecursionError, MemoryError, ...
        raise ValueError(f"the {what} cannot be read: {error or type(error).__name__}") from error


def _check_state(state: Any) -> dict[str, _Tensor]:
    # BUILD can put an attribute named "items" on an OrderedDict, hence the unbound method.
    items = list(dict.items(state)) if isinstance(state, dict) else [(None, None)]
    if not all(isinstance(name, str) and isinstance(value, _Tensor) for name, value in items):
        raise ValueError("holds something other than a flat state dict (name to tensor)")
    return dict(items)


def _read_storages(
    stream: io.BytesIO, keys: Any, expected: Iterable[_Storage]
) -> dict[str, NDArray[Any]]:
    by_key = {storage.key: storage for storage in expected}
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise ValueError("the list of storages is not a list of names")
    if len(set(keys)) != len(keys) or set(keys) != set(by_key):
        raise ValueError("the list of storages does not match the state dict")
    buffer = stream.getbuffer()
    storages = {}
    position = stream.tell()
    for key in keys:
        storage = by_key[key]
        start = position + 8
        count = int.from_bytes(buffer[position:start], "little", signed=True)
        if start > len(buffer) or count != storage.length:
            raise ValueError(f"truncated, or storage {key} is not of the size it is said to be")
        position = start + count * np.dtype(storage.dtype).itemsize
        if position > len(buffer):
            raise ValueError(f"truncated inside storage {key}")
        storages[key] = np.frombuffer(buffer, dtype=storage.dtype, count=count, offset=start)
    if position != len(buffer):
        raise ValueError(f"{len(buffer) - position} bytes follow the last storage")
    return storages


def _materialise(name: str, tensor: _Tensor, storages: dict[str, NDArray[Any]]) -> NDArray[Any]:
    storage = storages[tensor.storage.key]
    if storage.dtype != np.dtype(tensor.storage.dtype):
        raise ValueError(f"tensor {name} and its storage differ in element type")
    size = math.prod(tensor.shape)
    last = tensor.offset + sum(
        (side - 1) * stride for side, stride in zip(tensor.shape, tensor.strides, strict=True)
    )
    # A tensor with more elements than its storage would repeat some, so that a file of a few bytes
    # could ask for any amount of memory.
    if size and (last >= storage.size or size > storage.size):
        raise ValueError(f"tensor {name} reaches outside its storage")
    if not size:
        return np.empty(tensor.shape, storage.dtype)
    # The stride of a dimension of size 1 is never used, so the checks above do not bound it.
    strides = [
        stride * storage.itemsize if side > 1 else 0
        for side, stride in zip(tensor.shape, tensor.strides, strict=True)
    ]
    start = storage[tensor.offset :]
    window = np.lib.stride_tricks.as_strided(start, tensor.shape, strides, writeable=False)
    return np.array(window, order="C")
