"""Finds the source that the command line names."""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from components import image_file
from pipeline.config import ConfigError, is_remote
from pipeline.data.ingest import folders, sources, tables, tfds, tfrecords
from pipeline.data.ingest.sources import A_TABLE, Origin


def find(
    names: Sequence[str], features: Mapping[str, str] | None = None, *, allow_outside: bool = False
) -> Origin:
    """Returns the images and class names of a source.

    Args:
        names: "digits", "tfds:NAME", a table, a folder of class folders or of TFRecord files, or
            one or more TFRecord files.
        features: what TFRecords call their features; see `tfrecords.records`.
        allow_outside: whether a table may list files outside its folder.

    Raises:
        ConfigError: the source does not exist or has the wrong layout.
    """
    for name in names:
        if is_remote(name):
            raise ConfigError(f"{name}: found an object store; allowed: a source on this machine")
    paths = [Path(name) for name in names]
    files = [path for path in paths if path.is_file() and tfrecords.is_named_so(path.name)]
    if len(paths) == 1 and paths[0].is_dir():
        files = tfrecords.below(paths[0])
    elif len(files) < len(paths) and len(paths) > 1:
        other = next(path for path in paths if path not in files)
        raise ConfigError(
            f"{other}: found {len(paths)} sources; allowed: one, or several TFRecord files"
        )
    if files:
        where = names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
        return tfrecords.records(files, features or {}, where)
    if features:
        raise ConfigError(f"--features: {names[0]} holds no TFRecords; allowed: only for these")
    (name,), (path,) = names, paths
    parquet = _parquet(path)
    if parquet:
        return tables.shards(parquet, name)
    if name == "digits":
        return sources.digits()
    if name.startswith(tfds.PREFIX):
        return tfds.tfds_set(name.removeprefix(tfds.PREFIX))
    if path.is_dir():
        return folders.folder(path)
    if path.suffix.lower() in tables.SUFFIXES:
        return tables.table(path, allow_outside=allow_outside)
    raise ConfigError(f"{path}: {_no_source(path)}")


def _parquet(folder: Path) -> list[Path]:
    """Returns the Parquet files of a folder that holds no others, but perhaps texts about them."""
    if not folder.is_dir():
        return []
    inner = [one for one in sorted(folder.iterdir()) if not folders.hidden(one.name)]
    found = [one for one in inner if one.suffix.lower() == ".parquet" and one.is_file()]
    others = [one for one in inner if one.suffix.lower() not in (".parquet", ".md", ".json")]
    return [] if others else found


def _no_source(path: Path) -> str:
    if not path.exists():
        return "there is no such file or folder"
    if not path.is_file():
        return "found no regular file; allowed: a folder or a table"
    if zipfile.is_zipfile(path) or tarfile.is_tarfile(path):
        return "found an archive; unpack it and give the folder"
    try:
        is_image = image_file.is_image(path.read_bytes())
    except OSError:
        is_image = False
    if not is_image:
        kinds = ", ".join(tables.SUFFIXES)
        return f"found a file of no known kind; allowed: a folder, a table ({kinds}) or TFRecords"
    return f"found one image; allowed: a folder with a folder for each class, or {A_TABLE}"
