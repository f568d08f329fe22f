"""Writes one part of a source: TFRecord files by split, and a note of what became of it.

A part is what one worker does at a time. It shares nothing with the others but the folder, and
writes the same files when it is done again, so it does not matter where it runs or how often.
"""

from __future__ import annotations

import json
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf

from pipeline.data.ingest import transcode
from pipeline.data.ingest.sources import Source, settled
from pipeline.data.ingest.transcode import RejectedError
from trainer.features import FILENAME, FORMAT, HEIGHT, IMAGE, LABEL, TEXT, WIDTH

Images = Callable[[], Iterable[Source]]

_NOTES = "_notes"
_NOTE_SECONDS = 0.5


@dataclass(frozen=True)
class Note:
    """How far a part is.

    Attributes:
        written: images that are in its files.
        rejects: path and reason of those that are not.
    """

    written: int
    rejects: tuple[tuple[str, str], ...]

    @property
    def seen(self) -> int:
        """Counts the images that were looked at."""
        return self.written + len(self.rejects)


def write(
    number: int, images: Images, folder: str, labels: tuple[str, ...], max_side: int | None
) -> None:
    """Writes a part's images into `folder/{split}/images-{number}.tfrecord`, and its note.

    Args:
        number: which part it is.
        images: lists them.
        folder: the span in the making.
        labels: class names; the index in this list is the class id.
        max_side: see `transcode.prepare`.
    """
    root = Path(folder)
    drafts: dict[Path, _Draft] = {}
    written = 0
    rejects: list[tuple[str, str]] = []
    told = time.monotonic()
    for image in images():
        try:
            split, example = to_example(image, labels, max_side)
            file = root / split / f"images-{number:05d}.tfrecord"
            if file not in drafts:
                drafts[file] = _Draft(file)
            drafts[file].write(example.SerializeToString())
            written += 1
        except RejectedError as error:
            rejects.append((image.name, str(error)))
        if time.monotonic() - told > _NOTE_SECONDS:
            _put(root, number, Note(written, tuple(rejects)))
            told = time.monotonic()
    for draft in drafts.values():
        draft.publish()
    _put(root, number, Note(written, tuple(rejects)))


def notes(folder: Path) -> Iterator[Note]:
    """Yields the notes of the parts that have been begun."""
    for file in sorted((folder / _NOTES).glob("*.json")):
        fields = json.loads(file.read_text("ascii"))
        yield Note(fields["written"], tuple((path, reason) for path, reason in fields["rejects"]))


def discard_notes(folder: Path) -> None:
    """Removes the notes, and the drafts of parts that were begun twice."""
    shutil.rmtree(folder / _NOTES)
    for draft in folder.rglob("*.draft"):
        draft.unlink()


def _put(root: Path, number: int, note: Note) -> None:
    draft = root / _NOTES / f"{number:05d}.{uuid.uuid4().hex}"
    draft.parent.mkdir(exist_ok=True)
    draft.write_text(json.dumps({"written": note.written, "rejects": note.rejects}), "ascii")
    draft.rename(root / _NOTES / f"{number:05d}.json")


def to_example(
    image: Source, labels: tuple[str, ...], max_side: int | None
) -> tuple[str, tf.train.Example]:
    """Reads an image and makes the tf.Example of the data contract.

    Returns:
        Its split, empty if that is for the pipeline to decide, and the example.

    Raises:
        RejectedError: it cannot be read, or is no image that could be used.
    """
    try:
        encoded = image.read()
    except (OSError, ValueError) as error:  # the latter of a path with a NUL in it
        raise RejectedError(
            f"cannot be read: {getattr(error, 'strerror', None) or error}"
        ) from error
    prepared = transcode.prepare(encoded, max_side)
    features: dict[str, bytes | int] = {
        IMAGE: prepared.encoded,
        LABEL: labels.index(image.label),
        TEXT: image.label.encode(),
        FILENAME: os.fsencode(image.name),
        FORMAT: prepared.kind.encode(),
        HEIGHT: prepared.height,
        WIDTH: prepared.width,
        **{name: value.encode("utf-8", "surrogateescape") for name, value in image.slices},
    }
    example = tf.train.Example(
        features=tf.train.Features(feature={k: _feature(v) for k, v in features.items()})
    )
    return settled(image, encoded) or "", example


def _feature(value: bytes | int) -> tf.train.Feature:
    if isinstance(value, int):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))


class _Draft:
    """A TFRecord file under a name that nobody reads, until it is whole."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(exist_ok=True)
        self._file = file
        self._draft = file.with_name(f".{uuid.uuid4().hex}.draft")
        self._writer = tf.io.TFRecordWriter(str(self._draft))

    def write(self, record: bytes) -> None:
        self._writer.write(record)

    def publish(self) -> None:
        self._writer.close()
        self._draft.rename(self._file)
