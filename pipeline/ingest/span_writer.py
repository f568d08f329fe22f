"""Writes a span of TFRecords: whole or not at all."""

from __future__ import annotations

import csv
import io
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf
from PIL import Image, UnidentifiedImageError

from pipeline.config import ConfigError
from pipeline.ingest.sources import Source, SourceSet

# What TensorFlow decodes; other formats are rejected.
_FORMATS = frozenset({"JPEG", "PNG", "GIF", "BMP"})
# TensorFlow takes a palette's indices for grey levels and fails on single bits.
_BMP_MODES = frozenset({"L", "RGB", "RGBA"})
_SHARD_IMAGES = 4096
REJECTS = "_rejects.csv"


class RejectedError(ValueError):
    """An image that cannot be used; the message is the reason."""


@dataclass(frozen=True)
class Written:
    """What became of a source."""

    path: Path
    images: int
    rejects: tuple[tuple[str, str], ...]


def check_labels(root: Path, labels: tuple[str, ...]) -> tuple[str, ...]:
    """Returns the label list of a data root: its `labels.txt`, or the source's class names.

    Raises:
        ConfigError: the source has a class that the file does not list. Class ids must not move
            between spans, so the list is never changed here.
    """
    file = root / "labels.txt"
    if not file.exists():
        return labels
    known = tuple(line.strip() for line in file.read_text("utf-8").splitlines() if line.strip())
    unknown = sorted(set(labels) - set(known))
    if unknown:
        raise ConfigError(
            f"{file}: found class {', '.join(unknown)} in the source; allowed: {', '.join(known)}"
        )
    return known


def write(
    source: SourceSet, progress: Iterable[Source], root: Path, number: int, *, overwrite: bool
) -> Written:
    """Writes a span and, where there is none, `labels.txt`.

    The span is built under a hidden name and takes its own by renaming, so an interrupted ingest
    leaves nothing that a run could pick up.

    Args:
        source: what to write.
        progress: iterates over `source.images`, and may tell somebody about it.
        root: the data root, which is made if need be.
        number: the span's number.
        overwrite: whether a span of that number may be replaced.

    Returns:
        Where the span is, and what was rejected: images that Pillow cannot decode, or of a format
        that TensorFlow does not know. They are also listed in the span's `_rejects.csv`.

    Raises:
        ConfigError: the span is there already, a class is unknown, or no image can be used.
    """
    target = root / f"span-{number}"
    replaced = root / f".span-{number}.replaced"
    if replaced.exists() and not target.exists():
        replaced.rename(target)  # an ingest was killed between the two renamings below
    if target.exists() and not overwrite:
        raise ConfigError(f"{target} exists; choose another --span, or replace it by --overwrite")
    labels = check_labels(root, source.labels)
    partial = root / f".span-{number}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    shards: dict[str, _Shards] = {}
    rejects = []
    for image in progress:
        try:
            example = to_example(image, labels)
        except (RejectedError, OSError) as error:
            rejects.append((image.name, str(error)))
            continue
        split = image.split or ""
        if split not in shards:
            shards[split] = _Shards(partial / split)
        shards[split].write(example.SerializeToString())
    for writer in shards.values():
        writer.close()
    images = sum(writer.count for writer in shards.values())
    if not images:
        shutil.rmtree(partial)
        reason = f"; the first: {': '.join(rejects[0])}" if rejects else ""
        raise ConfigError(f"no image could be used{reason}")
    with (partial / REJECTS).open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("path", "reason"), *rejects])
    if not (root / "labels.txt").exists():
        draft = root / ".labels.partial"
        draft.write_text("".join(f"{label}\n" for label in labels), encoding="utf-8")
        draft.rename(root / "labels.txt")
    if target.exists():
        shutil.rmtree(replaced, ignore_errors=True)
        target.rename(replaced)
    partial.rename(target)
    shutil.rmtree(replaced, ignore_errors=True)
    return Written(target, images, tuple(rejects))


def to_example(image: Source, labels: tuple[str, ...]) -> tf.train.Example:
    """Reads an image and makes the tf.Example of the data contract.

    Raises:
        RejectedError: the bytes are not an image, are damaged, or of a format that TensorFlow does
            not decode.
        OSError: the file cannot be read.
    """
    encoded = image.read()
    try:
        with Image.open(io.BytesIO(encoded)) as picture:
            picture.load()
            (width, height), kind, mode = picture.size, picture.format, picture.mode
    except (UnidentifiedImageError, Image.DecompressionBombError, SyntaxError, ValueError) as error:
        raise RejectedError(f"not a readable image: {error}") from error
    if kind not in _FORMATS:
        raise RejectedError(f"format {kind}; allowed: {', '.join(sorted(_FORMATS))}")
    if kind == "BMP" and mode not in _BMP_MODES:
        raise RejectedError(f"BMP of mode {mode}; allowed: {', '.join(sorted(_BMP_MODES))}")
    features = {
        "image/encoded": encoded,
        "image/class/label": labels.index(image.label),
        "image/class/text": image.label.encode(),
        "image/filename": os.fsencode(image.name),
        "image/format": kind.lower().encode(),
        "image/height": height,
        "image/width": width,
    }
    return tf.train.Example(
        features=tf.train.Features(feature={k: _feature(v) for k, v in features.items()})
    )


def _feature(value: bytes | int) -> tf.train.Feature:
    if isinstance(value, int):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))


class _Shards:
    """TFRecord files of one split, a new one every `_SHARD_IMAGES` images."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writers: list[tf.io.TFRecordWriter] = []
        self.count = 0
        folder.mkdir(exist_ok=True)

    def write(self, record: bytes) -> None:
        if self.count % _SHARD_IMAGES == 0:
            self.close()
            name = f"images-{len(self._writers):05d}.tfrecord"
            self._writers.append(tf.io.TFRecordWriter(str(self._folder / name)))
        self._writers[-1].write(record)
        self.count += 1

    def close(self) -> None:
        if self._writers:
            self._writers[-1].close()
