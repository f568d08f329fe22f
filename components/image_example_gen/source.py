"""The input files: each has a key, and its records are read up to the first damage."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, cast

from tfx.dsl.io import fileio

from components import tfrecord_file

_SPAN = re.compile(r"(?:^|/)span-(\d+)(?=/)")
_BATCH_RECORDS = 64
_BATCH_BYTES = 1 << 24

# A file's key, its path, and the input split that it belongs to.
File = tuple[bytes, tuple[str, str]]


def file(match: Any, split: str) -> File:
    """Returns a `File` for Beam's match; its key is a digest, which is shorter than the path."""
    key = hashlib.blake2b(match.path.encode("utf-8", "surrogateescape"), digest_size=8).digest()
    return key, (match.path, split)


def path(one: File) -> tuple[bytes, str]:
    """Returns a file's key and its path."""
    key, (found, _) = one
    return key, found


def span(name: str) -> int:
    """Returns the number of the span in whose folder a file lies; 0 without such a folder."""
    found = _SPAN.findall(name)
    return int(found[-1]) if found else 0


def records(name: str, damage: list[str]) -> Iterator[bytes]:
    """Yields a file's records up to its first damage, and appends its description to `damage`."""
    try:
        with fileio.open(name, "rb") as opened:
            yield from tfrecord_file.records(cast(BinaryIO, opened))
    except tfrecord_file.DamagedError as error:
        damage.append(str(error))


def batches(found: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Groups records into batches of at most 64 records, each complete once it has 16 MiB."""
    batch: list[bytes] = []
    size = 0
    for record in found:
        batch.append(record)
        size += len(record)
        if len(batch) == _BATCH_RECORDS or size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
