"""Writes a span of TFRecords with Beam, whole or not at all."""

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

from pipeline.config import ConfigError, read_label_file
from pipeline.config.data import check_labels
from pipeline.data.ingest import part
from pipeline.data.ingest.sources import Origin

REJECTS = "_rejects.csv"
# Images in a part, which writes one file for each of its splits.
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
        rejects: path and reason of the first rejected images.
    """

    path: Path
    images: int
    rejected: int
    rejects: tuple[tuple[str, str], ...]


def settle_labels(root: Path, labels: tuple[str, ...]) -> tuple[str, ...]:
    """Returns the label list of a data root: its `labels.txt`, or the source's class names.

    Raises:
        ConfigError: the file does not list a class of the source, the class names are not allowed
            in such a file, or a run could not read the file. The file is never changed here, since
            class ids must not move between spans.
    """
    file = root / "labels.txt"
    if not file.exists():
        try:
            return check_labels(labels)
        except ValueError as error:
            raise ConfigError(f"class names: {error}") from error
    known = read_label_file(str(file))
    unknown = sorted(set(labels) - set(known))
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

    The span is written under a hidden name, then renamed. So an interrupted ingest leaves nothing
    that a run could read.

    Args:
        source: the images.
        root: the data root, created if missing; every Beam worker must see it.
        number: the span's number.
        options: see `Options`.
        watch: returns a context that may show progress, given a function that counts read images.

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
            labels = settle_labels(root, source.labels)
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
    """Joins the notes of all parts into the list of rejects.

    Raises:
        ConfigError: no image could be used; the unfinished span is deleted.
    """
    images = rejected = 0
    first: list[tuple[str, str]] = []
    # A file name may be any bytes, and is written as these bytes.
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
    """Holds the root's lock, which the kernel releases even if the process is killed."""
    folder = os.open(root, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise ConfigError(f"{root}: another ingest is writing to it") from None
    finally:
        os.close(folder)
