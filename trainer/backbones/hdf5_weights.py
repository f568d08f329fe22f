"""Checks an HDF5 file of weights before Keras reads it."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import h5py

_NUMBERS = "biufV"  # numpy's kinds; Keras writes bfloat16 as V


def check(file: BinaryIO | Path) -> None:
    """Checks that a file holds plain numbers only, all of them in the file itself.

    A link to another file, a dataset whose data lie in another file and a virtual dataset make
    Keras read any file as weights (CVE-2026-1669, up to 3.12.0). A dataset that declares more than
    it stores makes it allocate any amount of memory (CVE-2026-0897, up to 3.12.0).

    Raises:
        ValueError: the file is no HDF5, or holds one of these, or an object by two names, or
            values that are no numbers; the message names the place.
    """
    try:
        with h5py.File(file, "r") as weights:
            _check_group(weights)
    except (OSError, KeyError, RuntimeError, TypeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(
            f"found weights that cannot be read ({reason}); allowed: HDF5 as Keras writes it"
        ) from error


def _check_group(root: h5py.Group) -> None:
    pending, seen = [root], {_address(root)}
    while pending:
        group = pending.pop()
        for name in group:
            place = f"{group.name.rstrip('/')}/{name}"
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise ValueError(f"found a link at {place} in the weights; allowed: plain data")
            item = group[name]
            # By two names, groups could contain each other, and a small file could be endless.
            if _address(item) in seen:
                raise ValueError(f"found {place} twice in the weights; allowed: once")
            seen.add(_address(item))
            if isinstance(item, h5py.Group):
                pending.append(item)
            elif reason := _refusal(item):
                raise ValueError(f"found {reason} at {place} in the weights; allowed: plain data")


def _refusal(item: h5py.Dataset | h5py.Datatype) -> str:
    if not isinstance(item, h5py.Dataset):
        return "a named type"
    if item.is_virtual or item.external:
        return "data of another file"
    if item.dtype.kind not in _NUMBERS or item.dtype.names or item.dtype.subdtype:
        return f"values of type {item.dtype}"
    stored = item.id.get_storage_size()
    if item.nbytes > stored:
        return f"{item.nbytes} declared bytes, of which {stored} are stored,"
    return ""


def _address(item: h5py.HLObject) -> int:
    return int(h5py.h5o.get_info(item.id).addr)
