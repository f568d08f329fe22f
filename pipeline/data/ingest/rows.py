"""The rows of a table: CSV, TSV, JSON lines or Parquet, each with its place in the file."""

from __future__ import annotations

import contextlib
import csv
import importlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from components.image_example_gen.label_forms import listed
from pipeline.config import ConfigError

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")
PATH, LABEL, SPLIT = "path", "label", "split"
# Other names of a column, read if the column itself is not there.
_SYNONYMS = {PATH: ("file_name", "filename", "file", "image"), LABEL: ("class",), SPLIT: ()}
_SEPARATORS = ",;\t"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
# Python's reader fails at a NUL. With this character instead, only that row is rejected.
_NUL = "\N{SYMBOL FOR NULL}"

Row = Mapping[str, Any]


def rows(file: Path) -> Iterator[tuple[str, Row]]:
    """Yields place and cells of each row; cells of CSV are texts, all others may be anything.

    The columns `path`, `label` and `split` have these names, whatever the file calls them: in any
    case, with white space around them, and by synonyms.

    Raises:
        ConfigError: the file cannot be read or is of another form, or lacks path or label.
        OSError: the file cannot be opened.
    """
    suffix = file.suffix.lower()
    if suffix == ".parquet":
        yield from _parquet(file)
    elif suffix in (".jsonl", ".ndjson"):
        with _text(file) as content:
            yield from _json(content, file)
    else:
        with _text(file) as content:
            yield from _csv(content, file, "\t" if suffix == ".tsv" else None)


def _text(file: Path) -> io.TextIOWrapper:
    """Opens a text in UTF-8, or in UTF-16 if it starts with that mark."""
    stream = file.open("rb")
    start = stream.read(256)
    stream.seek(0)
    if start.startswith(_UTF16):
        return io.TextIOWrapper(stream, "utf-16", errors="surrogateescape", newline="")
    if start[1::2].count(0) > len(start) // 4 or start[::2].count(0) > len(start) // 4:
        stream.close()
        raise ConfigError(f"{file}: found UTF-16 without its mark; save the table as UTF-8")
    # File names may be bytes that are no UTF-8, and the table of suspects has them as they are.
    return io.TextIOWrapper(stream, "utf-8-sig", errors="surrogateescape", newline="")


def _columns(names: Sequence[str], where: str) -> list[str]:
    """Returns the columns with path, label and split by these names; all others as they are.

    Raises:
        ConfigError: path or label is missing, or a column is there twice.
    """
    stripped = [name.strip() for name in names]
    found = list(stripped)
    for column, synonyms in _SYNONYMS.items():
        for known in ((column,), synonyms):
            called = [index for index, name in enumerate(stripped) if name.lower() in known]
            if len(called) > 1:
                several = listed([stripped[index] for index in called])
                raise ConfigError(
                    f"{where}: found columns {several}; call one of them {column}, and the others"
                    " otherwise"
                )
            if called:
                found[called[0]] = column
                break
    for column in (PATH, LABEL):
        if column not in found:
            raise ConfigError(
                f"{where}: found no {column} among {listed(stripped)}; allowed: the columns path"
                " and label, and others to slice by"
            )
    return found


def _csv(
    content: Iterator[str], file: Path, separator: str | None
) -> Iterator[tuple[str, dict[str, Any]]]:
    lines = (line.replace("\0", _NUL) for line in content)
    skipped = 0
    for first in lines:
        # Excel may put a line before the header that names the separator.
        if first.strip(" \r\n\t,;") and not first.lower().startswith("sep="):
            break
        skipped += 1
    else:
        return
    where = f"{file}: line {skipped + 1}"
    separator = separator or _separator(first)
    reader = csv.reader(_after(first, lines), delimiter=separator)
    header = _columns(next(reader), where)
    for row in reader:
        if not any(cell.strip() for cell in row):
            continue
        where = f"{file}: line {skipped + reader.line_num}"
        if len(row) != len(header):
            raise ConfigError(
                f"{where}: found {len(row)} cells; allowed: {len(header)}, as in the header; put"
                " quotes around a text that has the separator in it"
            )
        yield where, dict(zip(header, row, strict=True))


def _after(first: str, lines: Iterator[str]) -> Iterator[str]:
    yield first
    yield from lines


def _separator(header: str) -> str:
    """Returns the separator by which the header has path and label; a comma if there is none."""
    for separator in _SEPARATORS:
        names = {cell.strip().lower() for cell in next(csv.reader([header], delimiter=separator))}
        if all(names & {column, *_SYNONYMS[column]} for column in (PATH, LABEL)):
            return separator
    return max(_SEPARATORS, key=header.count)


def _json(content: Iterator[str], file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    names: list[str] = []
    columns: list[str] = []
    for number, line in enumerate(content, start=1):
        if not line.strip():
            continue
        where = f"{file}: line {number}"
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"{where}: not JSON: {error}") from error
        if not isinstance(row, dict):
            raise ConfigError(f"{where}: allowed: an object with path and label")
        if names != list(row):  # nearly always as in the line before
            names = list(row)
            columns = _columns(names, where)
        yield where, dict(zip(columns, row.values(), strict=True))


def _parquet(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    from pyarrow import ArrowException, parquet  # takes a second to load, for this kind only

    # Older releases of pyarrow unpickle what a file says (CVE-2023-47248); theirs is this fix.
    with contextlib.suppress(ImportError):
        importlib.import_module("pyarrow_hotfix")
    try:
        with file.open("rb") as stream:
            table = parquet.ParquetFile(stream)
            columns = _columns(table.schema_arrow.names, str(file))
            number = 0
            for batch in table.iter_batches():
                for row in batch.to_pylist():
                    number += 1
                    yield f"{file}: row {number}", dict(zip(columns, row.values(), strict=True))
    except ArrowException as error:
        raise ConfigError(f"{file}: not Parquet: {str(error).splitlines()[0]}") from error
    except RuntimeError as error:
        raise ConfigError(
            f"{file}: found a column of Python objects, which may run code; allowed: plain columns"
        ) from error
