"""The table of suspects is one that ingest reads, and no spreadsheet computes what it holds."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from components.suspects.report import Image
from pipeline.config import ConfigError
from pipeline.data.ingest import tables
from pipeline.history import suspects
from pipeline.history.suspects import Row

NAMES = ["cat", "=dog", "größe"]
TABLE = [
    Row(Image("train/cat/a.jpg", "train", 0, "00"), 1, 0.01),
    Row(Image("=1+1.jpg", "val", 1, "01"), 2, 0.02),
    Row(Image("-b, c.jpg", "test", 2, "02")),
    # A newline, an escape sequence, a byte that is no UTF-8, and another separator of cells.
    Row(Image('\t\n\x1b[2J\u202e\udcff "a";=1.jpg', "test", 2, "03")),
]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    for number, row in enumerate(TABLE):
        (folder / row.image.name).parent.mkdir(parents=True, exist_ok=True)
        (folder / row.image.name).write_bytes(bytes([number]))
    return folder


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("there", [True, False])
def test_ingest_finds_images_and_labels(
    photos: Path, tmp_path: Path, whole: bool, there: bool
) -> None:
    # Without `--images` the table belongs into the folder that was ingested.
    file = (tmp_path / "tables" if there else photos) / "suspects.csv"
    file.parent.mkdir(exist_ok=True)
    suspects.write(TABLE, file, NAMES, photos if there else None, whole)
    found = tables.table(file, allow_outside=True).images
    assert [one.read() for one in found] == [b"\0", b"\1", b"\2", b"\3"]
    assert [one.label for one in found] == [*NAMES, NAMES[2]]
    splits = [one.split for one in found]
    assert splits == (["train", "val", "test", "test"] if whole else [None] * 4)


def test_no_cell_is_a_formula(photos: Path, tmp_path: Path) -> None:
    file = tmp_path / "suspects.csv"
    suspects.write(TABLE, file, NAMES, None, whole=False)
    with file.open(newline="", encoding="utf-8", errors="surrogateescape") as content:
        cells = [cell for row in csv.reader(content) for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]


def test_a_name_with_a_nul_costs_no_table(tmp_path: Path) -> None:
    file = tmp_path / "suspects.csv"
    suspects.write([*TABLE, Row(Image("a\0b", "val", 0, "09"))], file, NAMES, None, whole=False)
    assert len(tables.table(file, allow_outside=True).images) == len(TABLE) + 1


def test_a_folder_without_the_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"lacks 4 of 4 images, such as train/cat/a\.jpg"):
        suspects.write(TABLE, tmp_path / "x.csv", NAMES, tmp_path, whole=True)
    assert not (tmp_path / "x.csv").exists()
