"""The rows of Parquet tables, which may hold the images themselves, as Hugging Face's do."""

from __future__ import annotations

import contextlib
import functools
import importlib
import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow
from pyarrow import parquet

from components.image_example_gen.label_forms import listed
from pipeline.config import ConfigError
from pipeline.data.ingest.rows import LABEL, PATH, ImageCell, columns

_IMAGE = "image"

# Older releases of pyarrow unpickle what a file says (CVE-2023-47248); they come with this fix.
with contextlib.suppress(ImportError):
    importlib.import_module("pyarrow_hotfix")


def rows(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields place and cells of each row, as `rows.rows` does, without reading any image.

    A column of images has bytes, or a struct of `bytes` and perhaps `path`, and stands for `path`.
    Where the table lists the names of its classes as Hugging Face's `ClassLabel` does, a number in
    the label is one of these.

    Raises:
        ConfigError: the file is not Parquet, lacks path or label, has several columns of images, or
            has a number that is no class of its list.
        OSError: the file cannot be opened.
    """
    try:
        with file.open("rb") as stream:
            yield from _rows(parquet.ParquetFile(stream), file)
    except pyarrow.ArrowException as error:
        raise ConfigError(f"{file}: not Parquet: {str(error).splitlines()[0]}") from error
    except RuntimeError as error:
        raise ConfigError(
            f"{file}: found a column of Python objects, which may run code; allowed: plain columns"
        ) from error


def _rows(table: Any, file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    schema = table.schema_arrow
    image = _image_column(schema, str(file))
    called = columns([PATH if name == image else name for name in schema.names], str(file))
    classes = _classes(schema, schema.names[called.index(LABEL)])
    wanted = [f"{name}.path" if name == image else name for name in schema.names]
    number = itertools.count()
    for group in range(table.num_row_groups):
        for place, row in enumerate(table.read_row_group(group, columns=wanted).to_pylist()):
            where = f"{file}: row {next(number) + 1}"
            cells = {new: row.get(own) for new, own in zip(called, schema.names, strict=True)}
            if image is not None:
                name = (cells[PATH] or {}).get("path") or f"{file.name}:{group}:{place}"
                read = functools.partial(_read, str(file), group, place, image)
                cells[PATH] = ImageCell(name, read)
            if classes:
                cells[LABEL] = _class(cells[LABEL], classes, where)
            yield where, cells


def _image_column(schema: Any, where: str) -> str | None:
    """Returns the column that holds images; None if there is none."""
    found = [field.name for field in schema if _holds_bytes(field.type)]
    if len(found) > 1 and _IMAGE in found:
        return _IMAGE
    if len(found) > 1:
        raise ConfigError(
            f"{where}: found images in columns {listed(found)}; call one of them {_IMAGE}"
        )
    return found[0] if found else None


def _holds_bytes(kind: Any) -> bool:
    types = pyarrow.types
    if types.is_struct(kind):
        index = kind.get_field_index("bytes")
        return index >= 0 and _holds_bytes(kind[index].type)
    return bool(types.is_binary(kind) or types.is_large_binary(kind))


def _classes(schema: Any, label: str) -> tuple[str, ...]:
    """Returns the names of the classes that Hugging Face's note in a table lists; else nothing."""
    try:
        note = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        names = note["info"]["features"][label]["names"]
    except (ValueError, KeyError, TypeError):
        return ()
    return tuple(map(str, names)) if isinstance(names, list) else ()


def _class(label: Any, classes: Sequence[str], where: str) -> Any:
    if not isinstance(label, int) or isinstance(label, bool):
        return label
    if not 0 <= label < len(classes):
        raise ConfigError(
            f"{where}: label: found {label}; allowed: 0 to {len(classes) - 1}, as the table lists"
            f" {len(classes)} classes"
        )
    return classes[label]


def _read(file: str, group: int, place: int, image: str) -> bytes:
    """Returns the image of a row of a row group.

    Raises:
        OSError: the file cannot be read, or the row holds no bytes.
    """
    found = _images(file, group, image)[place].as_py()
    encoded = found.get("bytes") if isinstance(found, dict) else found
    if not encoded:
        raise OSError("the table has no bytes of it")
    return bytes(encoded)


@functools.lru_cache(maxsize=1)  # images are read in the order of their rows
def _images(file: str, group: int, image: str) -> Any:
    return parquet.ParquetFile(file).read_row_group(group, columns=[image]).column(0)
