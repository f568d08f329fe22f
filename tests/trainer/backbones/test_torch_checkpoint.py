"""Tests of the reader of Torch's legacy checkpoints, on files written here byte by byte."""

import hashlib
import io
import os
import pickle
import struct
import sys
import types
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from trainer.backbones.torch_checkpoint import read_state_dict

MAGIC = 0x1950A86A20F9469CFC6C


@dataclass(frozen=True)
class Storage:
    """A storage as the writer sees it: its class's name in torch, its key, its elements."""

    kind: str
    key: str
    data: NDArray[Any]


@dataclass(frozen=True)
class Call:
    """Pickles as a call of any function: what a tensor does, and what an attacker writes."""

    function: Any
    args: tuple[Any, ...]

    def __reduce__(self) -> tuple[Any, ...]:  # noqa: D105
        return self.function, self.args


def tensor(storage: Storage, offset: Any, shape: Any, strides: Any) -> Call:
    rebuild = sys.modules["torch._utils"]._rebuild_tensor_v2
    return Call(rebuild, (storage, offset, shape, strides, False, OrderedDict()))


@pytest.fixture(autouse=True)
def torch_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lends the pickler the names of torch, which need not be installed to write the format."""
    torch = types.ModuleType("torch")
    rebuild = types.ModuleType("torch._utils")

    def _rebuild_tensor_v2(*_args: Any) -> None:
        raise AssertionError("only its name is used")

    _rebuild_tensor_v2.__module__ = "torch._utils"
    _rebuild_tensor_v2.__qualname__ = "_rebuild_tensor_v2"
    rebuild._rebuild_tensor_v2 = _rebuild_tensor_v2  # type: ignore[attr-defined]
    torch._utils = rebuild  # type: ignore[attr-defined]
    for kind in ("FloatStorage", "LongStorage", "HalfStorage", "BFloat16Storage"):
        setattr(torch, kind, type(kind, (), {"__module__": "torch"}))
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", rebuild)


class Pickler(pickle.Pickler):
    """Writes storages as persistent ids, as torch.save does."""

    def persistent_id(self, obj: Any) -> Any:
        if isinstance(obj, Storage):
            kind = getattr(sys.modules["torch"], obj.kind)
            return "storage", kind, obj.key, "cpu", obj.data.size, None
        return None


def pickled(obj: Any) -> bytes:
    stream = io.BytesIO()
    Pickler(stream, protocol=2).dump(obj)
    return stream.getvalue()


def checkpoint(state: Any, storages: list[Storage], magic: int = MAGIC) -> bytes:
    machine = {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}
    heads = (magic, 1001, machine, state, [storage.key for storage in storages])
    bodies = (struct.pack("<q", s.data.size) + s.data.tobytes() for s in storages)
    return b"".join(map(pickled, heads)) + b"".join(bodies)


def written(folder: Path, content: bytes) -> Path:
    path = folder / "weights.pth"
    path.write_bytes(content)
    return path


FLOATS = Storage("FloatStorage", "7", np.arange(24, dtype="<f4"))


def one(offset: Any, shape: Any, strides: Any) -> bytes:
    return checkpoint(OrderedDict(w=tensor(FLOATS, offset, shape, strides)), [FLOATS])


def test_strides_offsets_and_shared_storages_are_honoured(tmp_path: Path) -> None:
    base = FLOATS.data.reshape(2, 3, 4)
    counts = Storage("LongStorage", "8", np.array([-5], dtype="<i8"))
    halves = Storage("HalfStorage", "9", np.array([0.5, 1.5], dtype="<f2"))
    state = OrderedDict(
        contiguous=tensor(FLOATS, 0, (2, 3, 4), (12, 4, 1)),
        transposed=tensor(FLOATS, 0, (4, 2, 3), (1, 12, 4)),
        sliced=tensor(FLOATS, 13, (3, 2), (4, 2)),
        scalar=tensor(counts, 0, (), ()),
        halves=tensor(halves, 1, (1,), (1,)),
        # The stride of a side of one is arbitrary in Torch.
        odd_stride=tensor(FLOATS, 23, (1, 1), (2**70, 9)),
        empty=tensor(FLOATS, 0, (0, 3), (3, 1)),
    )

    read = read_state_dict(written(tmp_path, checkpoint(state, [halves, FLOATS, counts])))

    assert list(read) == list(state)
    np.testing.assert_array_equal(read["contiguous"], base)
    np.testing.assert_array_equal(read["transposed"], base.transpose(2, 0, 1))
    np.testing.assert_array_equal(read["sliced"], base[1, :, 1::2])
    np.testing.assert_array_equal(read["scalar"], -5)
    np.testing.assert_array_equal(read["halves"], [1.5])
    np.testing.assert_array_equal(read["odd_stride"], [[23]])
    assert read["empty"].shape == (0, 3)
    assert [read[k].dtype for k in ("sliced", "scalar", "halves")] == ["f4", "i8", "f2"]
    assert all(a.flags.c_contiguous and a.flags.owndata for a in read.values())


@pytest.mark.parametrize(
    ("offset", "shape", "strides"),
    [
        (0, (25,), (1,)),
        (1, (24,), (1,)),
        (0, (2, 3), (12, 7)),
        (-1, (2,), (1,)),
        (4, (2,), (-1,)),
        (0, (-2,), (1,)),
        (0, (10**9,), (0,)),
        (0, (2, 2), (1,)),
        (0, [2], [1]),
        (0, ("2",), (1,)),
        (0, (True,), (1,)),
        (0, (0, 2**70), (1, 1)),
    ],
)
def test_tensors_outside_their_storage_are_refused(
    tmp_path: Path, offset: Any, shape: Any, strides: Any
) -> None:
    with pytest.raises(ValueError, match=r"weights\.pth: "):
        read_state_dict(written(tmp_path, one(offset, shape, strides)))


@pytest.mark.parametrize(
    "attack",
    [
        pytest.param(lambda mark: Call(os.mkdir, (mark,)), id="function"),
        pytest.param(lambda mark: Call(eval, (f"__import__('os').mkdir({mark!r})",)), id="eval"),
        pytest.param(lambda mark: Call(getattr, ("", "join")), id="getattr"),
        pytest.param(lambda mark: Storage("BFloat16Storage", "0", FLOATS.data), id="storage"),
    ],
)
def test_names_outside_the_list_are_refused(tmp_path: Path, attack: Any) -> None:
    mark = tmp_path / "attacked"
    content = checkpoint(OrderedDict(w=attack(str(mark))), [])

    with pytest.raises(ValueError, match="refused to load"):
        read_state_dict(written(tmp_path, content))

    assert not mark.exists()


def test_attack_in_the_first_pickle_is_refused(tmp_path: Path) -> None:
    mark = tmp_path / "attacked"
    with pytest.raises(ValueError, match="refused to load"):
        read_state_dict(written(tmp_path, pickled(Call(os.mkdir, (str(mark),)))))
    assert not mark.exists()


def test_build_cannot_change_what_later_reads_use(tmp_path: Path) -> None:
    # Sets __defaults__ on the function that rebuilds tensors, by the BUILD opcode.
    build = b"ctorch._utils\n_rebuild_tensor_v2\n(N}X\x0c\x00\x00\x00__defaults__Nst" + b"b."
    good = checkpoint(OrderedDict(), [])
    head = b"".join(pickled(part) for part in (MAGIC, 1001, {"little_endian": True}))

    with pytest.raises(ValueError, match=r"state dict cannot be read: .*__defaults__"):
        read_state_dict(written(tmp_path, head + b"\x80\x02" + build + good))


def test_truncation_anywhere_is_refused(tmp_path: Path) -> None:
    content = one(0, (24,), (1,))
    for length in range(len(content)):
        with pytest.raises(ValueError, match=r"weights\.pth: "):
            read_state_dict(written(tmp_path, content[:length]))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (lambda: one(0, (24,), (1,)) + b"\0", "1 bytes follow"),
        (lambda: checkpoint(OrderedDict(), [], magic=1), "magic number"),
        (lambda: b"PK\x03\x04", "zip checkpoint"),
        (lambda: b"<html>", "magic number cannot be read"),
        (lambda: checkpoint({"state_dict": OrderedDict()}, []), "flat state dict"),
        (lambda: checkpoint([], []), "flat state dict"),
        (lambda: checkpoint(OrderedDict(), [FLOATS]), "list of storages"),
    ],
)
def test_other_files_are_refused_with_a_reason(tmp_path: Path, content: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence) as caught:
        read_state_dict(written(tmp_path, content()))
    assert "\n" not in str(caught.value)


def test_digest_is_checked_before_anything_is_unpickled(tmp_path: Path) -> None:
    content = one(0, (24,), (1,))
    path = written(tmp_path, content)
    assert list(read_state_dict(path, hashlib.sha256(content).hexdigest())) == ["w"]

    mark = tmp_path / "attacked"
    with pytest.raises(ValueError, match=r"sha256 is [0-9a-f]{64}, expected 00"):
        read_state_dict(written(tmp_path, pickled(Call(os.mkdir, (str(mark),)))), "00")
    assert not mark.exists()


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"absent\.pth: no such weights file"):
        read_state_dict(tmp_path / "absent.pth")
