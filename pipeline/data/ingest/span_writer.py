"""Writes a span of TFRecords with Beam; an interrupted ingest publishes nothing."""

from __future__ import annotations

import contextlib
import csv
import functools
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from components import in_process
from components.evaluator.options import Evaluation
from components.image_example_gen import splits
from components.image_example_gen.label_forms import listed, normal
from pipeline.config import ConfigError, read_label_file
from pipeline.config.data import check_labels
from pipeline.data.escaping import one_line, path_cell
from pipeline.data.ingest import part, photos, publication
from pipeline.data.ingest.part import Counts, Note
from pipeline.data.ingest.sources import Origin

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
        notices: sentences on what a run would object to or could spare.
    """

    path: Path
    images: int
    rejected: int
    rejects: tuple[tuple[str, str], ...]
    notices: tuple[str, ...]


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
    partial = publication.unfinished(root, number)
    made = not root.exists()
    root.mkdir(parents=True, exist_ok=True)
    try:
        with publication.only_writer(root):
            publication.clean(root)
            if target.exists() and not options.overwrite:
                raise ConfigError(
                    f"{target} exists; choose another --span, or replace it by --overwrite"
                )
            labels = settle_labels(root, source.labels, source.where)
            try:
                partial.mkdir()
                with watch(lambda: sum(note.seen for note in part.notes(partial))):
                    _run(source, partial, labels, options)
                written = _close(partial, target, labels, set(source.labels))
                publication.publish(root, number, labels)
            finally:
                publication.clean(root)
            return written
    finally:
        if made:
            with contextlib.suppress(OSError):  # not empty
                root.rmdir()


def _run(source: Origin, partial: Path, labels: tuple[str, ...], options: Options) -> None:
    parts = list(enumerate(source.parts(_PART_IMAGES)))
    in_process.prefer()
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


def _close(partial: Path, target: Path, labels: Sequence[str], ours: set[str]) -> Written:
    """Writes the rejects of all parts to one CSV file, deletes the notes, and returns totals.

    `ours` are the normal forms of those `labels` that the source has.

    Raises:
        ConfigError: no image could be used.
    """
    notes = list(part.notes(partial))
    rejects = [reject for note in notes for reject in note.rejects]
    with (partial / publication.REJECTS).open("w", newline="", encoding="utf-8") as file:
        # Quotes also hold where another character than the comma separates cells.
        rows = csv.writer(file, quoting=csv.QUOTE_ALL)
        rows.writerow(("path", "reason"))
        rows.writerows((path_cell(one_line(path)), one_line(reason)) for path, reason in rejects)
    images = sum(note.written for note in notes)
    if not images:
        reason = f"; the first of {len(rejects)}: {': '.join(rejects[0])}" if rejects else ""
        raise ConfigError(one_line(f"no image could be used{reason}"))
    part.discard_notes(partial)
    measured = functools.reduce(operator.add, (note.photos for note in notes))
    notices = (
        *too_few(_total(notes), [label for label in map(normal, labels) if label in ours]),
        photos.advice(measured),
    )
    first = tuple(rejects[:_SHOWN_REJECTS])
    return Written(target, images, len(rejects), first, tuple(filter(None, notices)))


def _total(notes: Sequence[Note]) -> Counts:
    total: Counts = {}
    for note in notes:
        for split, by_class in note.counts.items():
            sums = total.setdefault(split, {})
            for label, count in by_class.items():
                sums[label] = sums.get(label, 0) + count
    return total


def too_few(counts: Counts, labels: Sequence[str]) -> list[str]:
    """Returns sentences on classes with too few images to judge, or to cut into splits.

    Args:
        counts: number of images by split and class; the split is empty if the data is to be cut.
        labels: the classes of the source.
    """

    def below(split: str, least: int) -> str:
        found = {label: counts[split].get(label, 0) for label in labels}
        return listed([f"{label} ({count})" for label, count in found.items() if count < least])

    found = []
    fewest = Evaluation().min_class_images
    if "test" in counts and (few := below("test", fewest)):
        found.append(f"fewer than {fewest} test images, too few to judge: {few}")
    cut = "" if "" in counts else "train"
    if cut in counts and "val" not in counts and (few := below(cut, splits.FEWEST)):
        found.append(f"fewer than {splits.FEWEST} images, too few for each split to get one: {few}")
    return found
