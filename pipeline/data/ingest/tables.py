"""Images that a table lists, with a path and a label in each row."""

from __future__ import annotations

import csv
import functools
import json
import math
import os
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from components.image_example_gen.label_forms import normal
from pipeline.config import ConfigError
from pipeline.data.ingest import rows, split_names
from pipeline.data.ingest.rows import LABEL, PATH, SPLIT, SUFFIXES, ImageCell, Row
from pipeline.data.ingest.sources import Source, SourceSet, read_file, slice_name

__all__ = ["SUFFIXES", "shards", "table"]


def table(file: Path, *, allow_outside: bool = False) -> SourceSet:
    """Returns the images that a table lists.

    Args:
        file: see `rows`. Each row needs `path`, relative to the table's folder, and `label`, and
            may have `split`. Other columns become text features to slice metrics by, as
            `slice_name` calls them.
        allow_outside: whether paths may lead out of the table's folder.

    Raises:
        ConfigError: the table cannot be read, lacks a column, has a row that is not allowed, or its
            splits leave train or test empty.
    """
    reader = _Reader(file, allow_outside=allow_outside)
    try:
        images = [reader.source(where, row) for where, row in rows.rows(file)]
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from error
    except UnicodeError as error:
        raise ConfigError(f"{file}: cannot be read: {error}; save it as UTF-8") from error
    except csv.Error as error:
        raise ConfigError(f"{file}: not CSV: {error}") from error
    if not images:
        raise ConfigError(f"{file}: found no row; allowed: one or more, with path and label")
    splits = _splits(file, {image.split for image in images})
    told = split_names.renamed(splits)
    if reader.own:
        own = ", ".join(sorted(reader.own))
        told.append(f"{file}: columns {own} are passed over, as ingest writes these itself")
    return SourceSet(
        labels=tuple(sorted({image.label for image in images})),
        images=tuple(_with_split(image, splits) for image in images),
        where=str(file),
        told=tuple(told),
    )


def shards(files: Sequence[Path], where: str) -> SourceSet:
    """Returns the images in Parquet tables, whose splits stand in the names of the files.

    Args:
        files: the tables, such as `train-00000-of-00002.parquet`.
        where: what messages call them together.

    Raises:
        ConfigError: see `table`; or a file's name tells a split, and its rows do, too.
    """
    splits, told = split_names.of_files(files, where)
    images = []
    for file, split in splits.items():
        found = table(file)
        told += found.told
        if split and any(image.split for image in found.images):
            raise ConfigError(f"{file}: found a column split; allowed: none beside a file's name")
        images += [replace(one, split=split or one.split) for one in found.images]
    labels = tuple(sorted({image.label for image in images}))
    return SourceSet(labels, tuple(images), where, tuple(dict.fromkeys(told)))


def _with_split(image: Source, splits: dict[str, str | None]) -> Source:
    split = splits[image.split] if image.split else None
    return replace(image, split=split)


def _splits(file: Path, names: Collection[str | None]) -> dict[str, str | None]:
    named = [name for name in names if name]
    if not named:
        return {}
    if len(named) < len(names):
        raise ConfigError(
            f"{file}: split: found {', '.join(sorted(named))} and rows without a split; allowed: a"
            " split in every row, or in none"
        )
    return split_names.splits(f"{file}: split", named)


class _Reader:
    """Turns rows into images, and remembers what earlier rows said.

    Attributes:
        own: the columns that are passed over, as ingest writes such features itself.
    """

    def __init__(self, file: Path, *, allow_outside: bool) -> None:
        self.own: set[str] = set()
        self._folder = file.parent
        self._home = os.path.realpath(file.parent)
        self._allow_outside = allow_outside
        self._labels: dict[str, tuple[str, str]] = {}
        self._real = functools.lru_cache(maxsize=4096)(os.path.realpath)

    def source(self, where: str, row: Row) -> Source:
        """Returns the image of a row; its split is still as the table calls it."""
        image, label = row.get(PATH), _class(row.get(LABEL), where)
        if not isinstance(image, ImageCell):
            image = self._file(_path(image, where), label, where)
        slices = []
        for column, value in row.items():
            if column in (PATH, LABEL, SPLIT, "") or value in (None, ""):
                continue
            name = slice_name(column)
            if name is None:
                self.own.add(column)
            else:
                slices.append((name, str(value)))
        split = row.get(SPLIT)
        return Source(
            name=image.name,
            label=label,
            split=None if split is None else str(split).strip() or None,
            read=image.read,
            slices=tuple(slices),
        )

    def _file(self, path: str, label: str, where: str) -> ImageCell:
        """Returns the image in a file of its own."""
        full = str(self._folder / path)
        if path != path.strip() and not os.path.lexists(full):
            full = str(self._folder / path.strip())
        self._check_place(path, full, where)
        before, first = self._labels.setdefault(os.path.normpath(full), (label, where))
        if before != label:
            raise ConfigError(
                f"{where}: found {path} with label {label}, and with {before} in"
                f" {first.rpartition(': ')[2]}; allowed: one label for each path"
            )
        return ImageCell(path, functools.partial(read_file, full))

    def _check_place(self, path: str, full: str, where: str) -> None:
        if self._allow_outside or "\0" in path:  # a NUL is rejected when the file is read
            return
        # Few folders hold many files, so that of links only the last is looked up each time.
        folder, name = os.path.split(full)
        real = f"{self._real(folder)}/{name}"
        if name == ".." or Path(full).is_symlink():
            real = os.path.realpath(full)
        if not f"{real}/".startswith(f"{self._home.rstrip('/')}/"):
            raise ConfigError(
                f"{where}: found {path}, outside {self._folder}; allowed: files below the table's"
                " folder, or others by --allow-outside"
            )


def _path(value: Any, where: str) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value.strip():
        raise ConfigError(f"{where}: path: found {_shown(value)}; allowed: the path of an image")
    return value


def _class(value: Any, where: str) -> str:
    """Returns a label as a class name: 1, 1.0 and "1" are one class, "01" is another."""
    if isinstance(value, str) and value.strip():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ConfigError(
                f"{where}: label: found bytes that are no UTF-8; save the table as UTF-8 (Excel"
                " calls it CSV UTF-8)"
            ) from None
        return normal(value)
    if isinstance(value, float) and math.isfinite(value):
        return str(int(value) if value.is_integer() else value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise ConfigError(f"{where}: label: found {_shown(value)}; allowed: one text or one number")


def _shown(value: Any) -> str:
    if value is None or (isinstance(value, str) and not value.strip()):
        return "nothing"
    return json.dumps(value, ensure_ascii=False, default=repr)[:80]
