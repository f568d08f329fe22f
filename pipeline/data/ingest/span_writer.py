"""Writes a span of TFRecords with Beam; an interrupted ingest publishes nothing."""

from __future__ import annotations

import contextlib
import csv
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from components.image_example_gen.label_forms import normal
from pipeline.config import ConfigError, read_label_file
from pipeline.config.data import check_labels
from pipeline.data.ingest import part
from pipeline.data.ingest.sources import Origin

REJECTS = "_rejects.csv"
# Images in a part; a part writes one file for each split.
_PART_IMAGES = 4096
_SHOWN_REJECTS = 5

Watch = Callable[[Callable[[], int]], contextlib.AbstractContextManager[None]]


@dataclass(frozen=True)
class Options:
    """The options of an ingest.

    Attributes:
        max_side: longest side in pixels; larger images are shrunk. None for no limit.
        overwrite: whether an existing span is replaced.
        beam: options for Beam.
    """

    max_side: int | None = None
    overwrite: bool = False
    beam: tuple[str, ...] = ()


@dataclass(frozen=True)
class Written:
    """The result of an ingest.

    Attributes:
        path: the span's folder.
        images: number of images in it.
        rejected: number of rejected images; the span's `_rejects.csv` lists all.
        rejects: path and reason of the first rejected images, at most five.
    """

    path: Path
    images: int
    rejected: int
    rejects: tuple[tuple[str, str], ...]


def settle_labels(root: Path, labels: tuple[str, ...], where: str) -> tuple[str, ...]:
    """Returns the class names in the root's `labels.txt`, or `labels` if there is no such file.

    `where` is what messages call the source.

    Raises:
        ConfigError: the file cannot be read or lacks one of `labels`, or `labels` are not allowed
            in such a file. The file is never changed, as class ids must be the same in all spans.
    """
    file = root / "labels.txt"
    if not file.exists():
        try:
            return check_labels(labels)
        except ValueError as error:
            raise ConfigError(f"{where}: class names: {error}") from error
    known = read_label_file(str(file))
    unknown = sorted(set(labels) - {normal(label) for label in known})
    if unknown:
        raise ConfigError(
            f"{file}: found class {', '.join(unknown)} in the source; allowed: {', '.join(known)}"
        )
    return known


def write(
    source: Origin,
    root: Path,
    number: int,
    options: Options,
    watch: Watch = lambda seen: contextlib.nullcontext(),
) -> Written:
    """Writes a span and, if it is missing, `labels.txt`.

    The span is written under a hidden name, then renamed, so no run reads an unfinished span.

    Args:
        source: the images.
        root: the data root, created if missing; every Beam worker must see it.
        number: the span's number.
        options: see `Options`.
        watch: makes a context manager that shows progress from a function that counts read images.

    Raises:
        ConfigError: the span exists or is being written, a class is unknown, or no image can be
            used.
    """
    target = root / f"span-{number}"
    partial = root / f".span-{number}.partial"
    made = not root.exists()
    root.mkdir(parents=True, exist_ok=True)
    try:
        with _only_writer(root):
            _settle_replacement(root, number)
            if target.exists() and not options.overwrite:
                raise ConfigError(
                    f"{target} exists; choose another --span, or replace it by --overwrite"
                )
            labels = settle_labels(root, source.labels, source.where)
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            with watch(lambda: sum(note.seen for note in part.notes(partial))):
                _run(source, partial, labels, options)
            written = _close(partial, target)
            _publish(root, number, labels)
            return written
    finally:
        if made:
            with contextlib.suppress(OSError):  # not empty
                root.rmdir()


def _run(source: Origin, partial: Path, labels: tuple[str, ...], options: Options) -> None:
    parts = list(enumerate(source.parts(_PART_IMAGES)))
    with beam.Pipeline(options=PipelineOptions(list(options.beam))) as pipeline:
        (
            pipeline
            | "Parts" >> beam.Create(parts)
            | "Spread" >> beam.Reshuffle()
            | "Write"
            >> beam.Map(
                lambda one: part.write(one[0], one[1], str(partial), labels, options.max_side)
            )
        )


def _close(partial: Path, target: Path) -> Written:
    """Writes the rejects of all parts to one CSV file, deletes the notes, and returns totals.

    Raises:
        ConfigError: no image could be used; the unfinished span is deleted.
    """
    images = rejected = 0
    first: list[tuple[str, str]] = []
    # A file name that is not UTF-8 is written as the bytes that it has.
    with (partial / REJECTS).open("w", newline="", encoding="utf-8", errors="surrogateescape") as f:
        rows = csv.writer(f)
        rows.writerow(("path", "reason"))
        for note in part.notes(partial):
            images += note.written
            rejected += len(note.rejects)
            first += note.rejects[: _SHOWN_REJECTS - len(first)]
            rows.writerows(note.rejects)
    if not images:
        shutil.rmtree(partial)
        reason = f"; the first of {rejected}: {': '.join(first[0])}" if first else ""
        raise ConfigError(f"no image could be used{reason}")
    part.discard_notes(partial)
    return Written(target, images, rejected, tuple(first))


def _settle_replacement(root: Path, number: int) -> None:
    """Repairs the span after an ingest that was killed between the two renames of `_publish`."""
    target, replaced = root / f"span-{number}", root / f".span-{number}.replaced"
    if replaced.exists() and not target.exists():
        replaced.rename(target)
    shutil.rmtree(replaced, ignore_errors=True)


def _publish(root: Path, number: int, labels: Sequence[str]) -> None:
    target, replaced = root / f"span-{number}", root / f".span-{number}.replaced"
    if not (root / "labels.txt").exists():
        draft = root / ".labels.partial"
        draft.write_text("".join(f"{label}\n" for label in labels), encoding="utf-8")
        draft.rename(root / "labels.txt")
    if target.exists():
        target.rename(replaced)
    (root / f".span-{number}.partial").rename(target)
    shutil.rmtree(replaced, ignore_errors=True)


@contextlib.contextmanager
def _only_writer(root: Path) -> Iterator[None]:
    """Holds the data root's lock, which the kernel releases even if the process is killed."""
    folder = os.open(root, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise ConfigError(f"{root}: another ingest is writing to it") from None
    finally:
        os.close(folder)
