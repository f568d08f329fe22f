"""Writes one part of a source: a TFRecord file for each split, and a note of the part's progress.

A part is the unit of work of a Beam worker. Parts share only the span's folder, and a part that
runs again writes the same files, so any worker may run it, even twice.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf

from components.image_example_gen import inspection, label_forms
from components.image_example_gen.options import RecordChecks
from components.image_example_gen.quarantine import QuarantineError
from pipeline.data.ingest import photos, transcode
from pipeline.data.ingest.photos import Photos
from pipeline.data.ingest.sources import Source
from pipeline.data.ingest.transcode import Prepared, RejectedError
from trainer.features import FILENAME, FORMAT, HEIGHT, IMAGE, LABEL, TEXT, WIDTH

Images = Callable[[], Iterable[Source]]

_NOTES = "_notes"
_NOTE_SECONDS = 0.5
# The shortest side that comes in is the config's to say.
_CHECKS = RecordChecks(min_side=1)


Counts = dict[str, dict[str, int]]


@dataclass(frozen=True)
class Note:
    """Progress of a part.

    Attributes:
        counts: number of written images by split and class; the split is empty if the pipeline is
            to cut the data.
        rejects: path and reason of each rejected image.
        photos: what the images measure.
    """

    counts: Counts
    rejects: tuple[tuple[str, str], ...]
    photos: Photos

    @property
    def written(self) -> int:
        """The number of images that were written."""
        return sum(sum(by_class.values()) for by_class in self.counts.values())

    @property
    def seen(self) -> int:
        """The number of images that were read."""
        return self.written + len(self.rejects)


def write(
    number: int, images: Images, folder: str, labels: tuple[str, ...], max_side: int | None
) -> None:
    """Writes a part's images into `folder/{split}/images-{number}.tfrecord`, and its note.

    `folder` is the unpublished span's folder; sides over `max_side` pixels are shrunk.
    """
    root = Path(folder)
    drafts: dict[str, _Draft] = {}
    counts: Counts = {}
    rejects: list[tuple[str, str]] = []
    measured = Photos()
    told = time.monotonic()
    for image in images():
        try:
            file = prepared(image, max_side)
            example, split = to_example(image, file, labels), image.split or ""
            if split not in drafts:
                drafts[split] = _Draft(root, split, f"images-{number:05d}.tfrecord")
                counts[split] = {}
            # Otherwise the order of features differs from process to process.
            drafts[split].write(example.SerializeToString(deterministic=True))
            counts[split][image.label] = counts[split].get(image.label, 0) + 1
            if max_side is None:
                measured = photos.seen(measured, file)
        except RejectedError as error:
            rejects.append((image.name, str(error)))
        if time.monotonic() - told > _NOTE_SECONDS:
            _put(root, number, Note(counts, tuple(rejects), measured))
            told = time.monotonic()
    for draft in drafts.values():
        draft.publish()
    _put(root, number, Note(counts, tuple(rejects), measured))


def notes(folder: Path) -> Iterator[Note]:
    """Yields the latest note of each part, from the span's folder."""
    for file in sorted((folder / _NOTES).glob("*.json")):
        fields = json.loads(file.read_text("ascii"))
        rejects = tuple((path, reason) for path, reason in fields["rejects"])
        yield Note(fields["counts"], rejects, Photos(**fields["photos"]))


def discard_notes(folder: Path) -> None:
    """Deletes a span's notes, and the unfinished files of parts that ran twice."""
    shutil.rmtree(folder / _NOTES)
    for draft in folder.rglob("*.draft"):
        draft.unlink()


def _put(root: Path, number: int, note: Note) -> None:
    draft = root / _NOTES / f"{number:05d}.{uuid.uuid4().hex}"
    draft.parent.mkdir(exist_ok=True)
    draft.write_text(json.dumps(dataclasses.asdict(note)), "ascii")
    draft.rename(root / _NOTES / f"{number:05d}.json")


def prepared(image: Source, max_side: int | None) -> Prepared:
    """Reads an image into a file that the model decodes; see `transcode.prepare`.

    Raises:
        RejectedError: the image cannot be read or used.
    """
    try:
        encoded = image.read()
    except (OSError, ValueError) as error:  # ValueError: the path has a NUL
        raise RejectedError(
            f"cannot be read: {getattr(error, 'strerror', None) or error}"
        ) from error
    return transcode.prepare(encoded, max_side, _reads)


def to_example(image: Source, file: Prepared, labels: tuple[str, ...]) -> tf.train.Example:
    """Returns a tf.Example of the data contract; `file` is what `prepared` returns.

    Raises:
        RejectedError: the image's class is not one of the labels.
    """
    number = label_forms.by_name(image.label, labels)
    if number is None:
        raise RejectedError(f"found class {image.label}; allowed: {label_forms.listed(labels)}")
    features: dict[str, bytes | int] = {
        IMAGE: file.encoded,
        LABEL: number,
        TEXT: labels[number].encode(),
        FILENAME: os.fsencode(image.name),
        FORMAT: file.kind.encode(),
        HEIGHT: file.height,
        WIDTH: file.width,
        **{name: value.encode("utf-8", "surrogateescape") for name, value in image.slices},
    }
    example = tf.train.Example()
    for name, value in features.items():
        kind = "int64_list" if isinstance(value, int) else "bytes_list"
        getattr(example.features.feature[name], kind).value.append(value)
    return example


def _reads(encoded: bytes) -> bool:
    """Returns whether the run's check, with its usual options, takes an image of any size."""
    try:
        inspection.decode(encoded, _CHECKS)
    except QuarantineError:
        return False
    return True


class _Draft:
    """A TFRecord file, written under a hidden name and renamed when it is complete."""

    def __init__(self, root: Path, split: str, name: str) -> None:
        folder = root / split
        if split:  # where ingest has ended and removed the root, nobody makes it again
            folder.mkdir(exist_ok=True)
        self._file = folder / name
        self._draft = folder / f".{uuid.uuid4().hex}.draft"
        self._writer = tf.io.TFRecordWriter(str(self._draft))

    def write(self, record: bytes) -> None:
        self._writer.write(record)

    def publish(self) -> None:
        self._writer.close()
        self._draft.rename(self._file)
