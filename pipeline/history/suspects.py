"""The suspects of a run, as a table that a person corrects and ingests again."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from components.report.component import OPTIONS_KEY, REPORT_KEY
from components.suspects import report
from components.suspects.report import Image, Suspects
from pipeline.config import Config, ConfigError, read_labels
from pipeline.data import escaping
from pipeline.graph import nodes
from pipeline.history.metadata import History

_SHOWN_MISSING = 3


@dataclass(frozen=True)
class Row:
    """An image in the table; `suggested` and `confidence` are None if its label is not suspect."""

    image: Image
    suggested: int | None = None
    confidence: float | None = None


def read(history: History, run: str) -> Suspects | None:
    """Returns a run's suspects: the Report's, or else those in the examples that it left.

    None if the examples hold no embeddings, or are gone.
    """
    made = history.output(run, nodes.REPORT, REPORT_KEY)
    found = report.read(made.uri) if made is not None else None
    if found is not None:
        return found
    folder = _transformed(history, run)
    return report.find(folder) if folder else None


def found(history: History, run: str) -> Suspects:
    """Returns a run's suspects.

    Raises:
        ConfigError: there is nothing to search.
    """
    suspects = read(history, run)
    if suspects is None:
        there = _transformed(history, run)
        raise ConfigError(
            f"{run}: its examples {'hold no embeddings' if there else 'are not there'}, so no label"
            f" can be judged; {'trainer.mode scratch makes none' if there else 'retrain run'}"
        )
    return suspects


def labels(config: Config, history: History, run: str) -> list[str]:
    """Returns the class names of a run, if it recorded them: the list may have grown since."""
    options = history.parameter(run, nodes.REPORT, OPTIONS_KEY)
    return list(read_labels(config)) if options is None else list(options["labels"])


def everything(history: History, run: str, suspects: Suspects) -> Iterator[Row]:
    """Yields the suspects and after them all other images of a run.

    Raises:
        ConfigError: the examples are gone.
    """
    folder = _transformed(history, run)
    if not folder:
        raise ConfigError(f"--all: the examples of {run} are not there; retrain run")
    yield from rows(suspects)
    named = {(one.image.split, one.image.digest, one.image.name) for one in suspects.found}
    for image in report.images(folder):
        if (image.split, image.digest, image.name) not in named:
            yield Row(image)


def rows(suspects: Suspects) -> Iterator[Row]:
    """Yields the suspects as rows of the table."""
    return (Row(one.image, one.suggested, one.confidence) for one in suspects.found)


def write(
    table: Sequence[Row], file: Path, names: Sequence[str], images: Path | None, whole: bool
) -> None:
    """Writes a CSV file that `retrain ingest` reads.

    Args:
        table: the images.
        file: the CSV file.
        names: class names; the index in this list is the class id.
        images: the folder that was ingested, or the folder of the table; None to write paths as
            they were ingested.
        whole: whether the table holds all images of a run. Ingest then keeps the splits; it would
            refuse a table that lacks some, so that of the suspects has them in another column.

    Raises:
        ConfigError: `images` lacks a file.
    """
    if images is not None:
        _check(table, images)
    # A file name that is not UTF-8 is written as the bytes that it has.
    with file.open("w", newline="", encoding="utf-8", errors="surrogateescape") as output:
        # Quotes also hold where another character than the comma separates cells.
        writer = csv.writer(output, quoting=csv.QUOTE_ALL)
        split = "split" if whole else "in_split"
        writer.writerow(("path", "label", split, "given", "suggested", "confidence"))
        for row in table:
            given = _inert(names[row.image.label])
            suggested = "" if row.suggested is None else _inert(names[row.suggested])
            confidence = "" if row.confidence is None else f"{row.confidence:.4f}"
            path = _path(row.image.name, images, file)
            writer.writerow((path, given, row.image.split, given, suggested, confidence))


def _path(name: str, images: Path | None, file: Path) -> str:
    if images is not None:
        name = os.path.relpath(images / name, file.absolute().parent)
    # No file has a NUL in its name, but a TFRecord may; Python's CSV refuses it.
    return escaping.path_cell(name.replace("\0", "\N{SYMBOL FOR NULL}"))


def _inert(name: str) -> str:
    """Returns a class name that no spreadsheet takes for a formula; ingest strips the blank."""
    return f" {name}" if name.startswith(escaping.FORMULAS) else name


def _check(table: Sequence[Row], images: Path) -> None:
    missing = [row.image.name for row in table if not (images / row.image.name).is_file()]
    if missing:
        shown = ", ".join(missing[:_SHOWN_MISSING])
        raise ConfigError(
            f"--images: {images} lacks {len(missing)} of {len(table)} images, such as {shown};"
            " give the folder that was ingested, or that of the table"
        )


def _transformed(history: History, run: str) -> str:
    made = history.output(run, nodes.TRANSFORM, "transformed_examples")
    return made.uri if made is not None and Path(made.uri, "Split-train").is_dir() else ""
