"""Images that a table lists: CSV or JSON lines with a path and a label in each row."""

import csv
import dataclasses
import functools
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline.config import ConfigError
from pipeline.data.ingest.names import normal
from pipeline.data.ingest.sources import Source, SourceSet, read_file
from pipeline.data.spans import SPLITS

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson")
_PATH, _LABEL, _SPLIT = "path", "label", "split"


def table(file: Path, val_share: float) -> SourceSet:
    """Returns the images that a table lists.

    Args:
        file: a CSV or TSV file with a header, or a file with one JSON object a line. Each row needs
            `path`, relative to the table's folder, and `label`, and may have `split`. Other columns
            become text features to slice metrics by, named `image/COLUMN` unless COLUMN has a "/".
        val_share: share of train that becomes val if no row names val; see `sources.settled`.

    Raises:
        ConfigError: the table cannot be read, lacks a column, or its splits leave train or test
            empty.
    """
    try:
        with file.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as content:
            rows = _json(content, file) if _is_json(file) else _csv(content, file)
            images = tuple(_source(row, file, number) for number, row in rows)
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from error
    except csv.Error as error:
        raise ConfigError(f"{file}: not CSV: {error}") from error
    if not images:
        raise ConfigError(f"{file}: found no row; allowed: one or more, with path and label")
    splits = {image.split for image in images}
    if splits not in ({None}, {"train", "test"}, set(SPLITS)):
        found = ", ".join(sorted(split or "none" for split in splits))
        raise ConfigError(
            f"{file}: split: found {found}; allowed: train, test and perhaps val, or no split"
        )
    if splits == {"train", "test"}:
        images = tuple(dataclasses.replace(image, val_share=val_share) for image in images)
    return SourceSet(tuple(sorted({image.label for image in images})), images)


def _is_json(file: Path) -> bool:
    return file.suffix.lower() in (".jsonl", ".ndjson")


def _csv(content: Iterator[str], file: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    # Python's reader fails at a NUL. With this character instead, only that row is rejected.
    reader = csv.reader(
        (line.replace("\0", "\N{SYMBOL FOR NULL}") for line in content),
        delimiter="\t" if file.suffix.lower() == ".tsv" else ",",
    )
    header: list[str] = []
    for row in reader:
        if not any(cell.strip() for cell in row):
            continue
        if not header:
            header = row
        elif len(row) != len(header):
            raise ConfigError(
                f"{file}: line {reader.line_num}: found {len(row)} cells; allowed: {len(header)},"
                " as in the header; put quotes around a text that has the separator in it"
            )
        else:
            yield reader.line_num, dict(zip(header, row, strict=True))


def _json(content: Iterator[str], file: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, line in enumerate(content, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise ConfigError(f"{file}: line {number}: not JSON: {error}") from error
        if not isinstance(row, dict):
            raise ConfigError(f"{file}: line {number}: allowed: an object with path and label")
        yield number, row


def _source(row: Mapping[str, Any], file: Path, number: int) -> Source:
    for column in (_PATH, _LABEL):
        if row.get(column) is None or not str(row[column]).strip():
            among = "" if column in row else f" among {', '.join(row)}"
            raise ConfigError(
                f"{file}: line {number}: found no {column}{among}; allowed: path and label"
            )
    path = str(row[_PATH])
    slices = tuple(
        (name if "/" in name else f"image/{name}", str(value))
        for name, value in row.items()
        if name not in (_PATH, _LABEL, _SPLIT, None) and value not in (None, "")
    )
    return Source(
        name=path,
        label=_class(row[_LABEL], f"{file}: line {number}"),
        split=str(row[_SPLIT]) if row.get(_SPLIT) else None,
        read=functools.partial(read_file, str(file.parent / path)),
        slices=slices,
    )


def _class(value: Any, where: str) -> str:
    """Returns a label as a class name: 1, 1.0 and "1" are one class, "01" is another."""
    if isinstance(value, str):
        return normal(value)
    if isinstance(value, float) and math.isfinite(value):
        return str(int(value) if value.is_integer() else value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    found = json.dumps(value, ensure_ascii=False)[:80]
    raise ConfigError(f"{where}: label: found {found}; allowed: one text or one number")
