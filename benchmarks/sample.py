"""Copies a part of a span, so that all sides of a comparison read the very same files."""

from __future__ import annotations

import contextlib
import gzip
import itertools
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, cast

_TENTH = 10


def shares(counts: Mapping[str, int], wanted: int) -> dict[str, int]:
    """Returns how many records to take of each split, in proportion to `counts`, `wanted` in all.

    A split whose share is 0 gives 1 record, beyond the number wanted.
    """
    total = sum(counts.values())
    wanted = min(wanted, total)
    # The end of each split if all lie in a row; as the ends are rounded, the shares add up.
    ends = [end * wanted // total for end in itertools.accumulate(counts.values(), initial=0)]
    taken = (end - start for start, end in itertools.pairwise(ends))
    return {name: max(1, count) for name, count in zip(counts, taken, strict=True)}


def is_taken(index: int, count: int, taken: int) -> bool:
    """Returns whether to take record `index` of `count`, so that `taken` are spread evenly.

    Spans are often sorted by class, so that the first records alone would be of one class.
    """
    return (index + 1) * taken // count > index * taken // count


def copy(span: Path, target: Path, wanted: int | None) -> dict[str, int]:
    """Copies `wanted` records (None: all) into a new span with one file for each split.

    Without val, each tenth record of train becomes val, as a plain TFX pipeline cannot cut it.

    Returns:
        The number of copied records by split.
    """
    folders = sorted(folder for folder in span.iterdir() if folder.is_dir())
    files = {folder.name: sorted(folder.glob("*.tfrecord*")) for folder in folders}
    counts = {split: sum(1 for _ in _records(paths)) for split, paths in files.items()}
    taken = shares(counts, wanted or sum(counts.values()))
    copied = dict.fromkeys(sorted({*files, "val"}), 0)
    with contextlib.ExitStack() as opened:
        outputs = {}
        for split in copied:
            (target / split).mkdir(parents=True)
            file = target / split / "images-00000.tfrecord"
            outputs[split] = opened.enter_context(file.open("wb"))
        for split, paths in files.items():
            chosen = (
                record
                for index, record in enumerate(_records(paths))
                if is_taken(index, counts[split], taken[split])
            )
            for number, record in enumerate(chosen):
                cut = split == "train" and "val" not in files and number % _TENTH == 0
                home = "val" if cut else split
                outputs[home].write(record)
                copied[home] += 1
    return copied


def _records(paths: list[Path]) -> Iterator[bytes]:
    """Yields records with their TFRecord framing: length, checksum, data, checksum."""
    for path in paths:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as opened:
            stream = cast(BinaryIO, opened)
            while header := stream.read(12):
                yield header + stream.read(struct.unpack("<Q", header[:8])[0] + 4)
