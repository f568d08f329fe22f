"""Copies a part of a span, so that all sides of a comparison read the very same files."""

from __future__ import annotations

import gzip
import itertools
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, cast


def shares(counts: Mapping[str, int], wanted: int) -> dict[str, int]:
    """Says how many of each split's records to take, in proportion, for so many in all.

    A split whose share is 0 gives 1 in addition.
    """
    total = sum(counts.values())
    wanted = min(wanted, total)
    # Where each split ends if all lie in a row; rounding the ends makes the shares add up.
    ends = [end * wanted // total for end in itertools.accumulate(counts.values(), initial=0)]
    taken = (end - start for start, end in itertools.pairwise(ends))
    return {name: max(1, count) for name, count in zip(counts, taken, strict=True)}


def is_taken(index: int, count: int, taken: int) -> bool:
    """Tells whether to take a record; those that are taken lie evenly over all.

    Spans are often sorted by class, so that the first records alone would be of one class.
    """
    return (index + 1) * taken // count > index * taken // count


def copy(span: Path, target: Path, wanted: int | None) -> dict[str, int]:
    """Copies so many records, or all, into a new span of one file for each split.

    Returns:
        How many records each split has.
    """
    folders = sorted(folder for folder in span.iterdir() if folder.is_dir())
    files = {folder.name: sorted(folder.glob("*.tfrecord*")) for folder in folders}
    counts = {split: sum(1 for _ in _records(paths)) for split, paths in files.items()}
    taken = shares(counts, wanted or sum(counts.values()))
    for split, paths in files.items():
        (target / split).mkdir(parents=True)
        with (target / split / "images-00000.tfrecord").open("wb") as output:
            for index, record in enumerate(_records(paths)):
                if is_taken(index, counts[split], taken[split]):
                    output.write(record)
    return taken


def _records(paths: list[Path]) -> Iterator[bytes]:
    """Yields records as they stand in the file: length, checksum, data, checksum."""
    for path in paths:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as opened:
            stream = cast(BinaryIO, opened)
            while header := stream.read(12):
                yield header + stream.read(struct.unpack("<Q", header[:8])[0] + 4)
