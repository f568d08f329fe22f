"""What the command says: hostile names do nothing, and a mistake takes one line."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

from pipeline.data import escaping
from retrain.__main__ import main
from tests.conftest import Picture

_HOSTILE = (
    b"=1+1.png",
    b"-2.png",
    b"\t=2.png",
    b"a\x1b[2J\x9b31m\x07.png",
    b"a\r\nfake: 100 images.png",
    "a\u202egnp.exe".encode(),
    b"\xff\xfe.png",
    b"a;=1+1.png",
)


@pytest.fixture
def hostile(tmp_path: Path, picture: Picture) -> Path:
    """A table of two images and of files that are none, with hostile names."""
    for name in ("good.png", "other.png"):
        (tmp_path / name).write_bytes(picture(seed=len(name)))
    table = tmp_path / "table.csv"
    with table.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        rows = csv.writer(file)
        rows.writerow(("path", "label"))
        rows.writerows((("good.png", "a"), ("other.png", "b")))
        for name in _HOSTILE:
            (tmp_path / os.fsdecode(name)).write_bytes(b"none")
            rows.writerow((os.fsdecode(name), "a"))
        file.write("nu\0l.png,a\n")
    return table


def test_hostile_names_are_shown_escaped(
    hostile: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "data"
    assert main(["ingest", str(hostile), "--output", str(root)]) == 1
    shown = capfd.readouterr()
    assert all(line.isprintable() for line in (shown.out + shown.err).split("\n"))
    assert not [line for line in (shown.out + shown.err).split("\n") if line.startswith("fake")]
    content = (root / "span-0" / "_rejects.csv").read_bytes().decode()
    assert all(line.isprintable() for line in content.split("\r\n"))
    rows = list(csv.reader(content.splitlines()))
    assert len(rows) == 1 + len(_HOSTILE) + 1
    assert not [cell for row in rows for cell in row if cell.startswith(escaping.FORMULAS)]
    # Also where a semicolon separates cells.
    assert all(line.startswith('"') and line.endswith('"') for line in content.splitlines())


def test_an_output_that_cannot_be_written_is_told_in_a_line(
    hostile: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file"
    file.write_text("")
    for output in (file, file / "data"):
        assert main(["ingest", str(hostile), "--output", str(output)]) == 2
        shown = capfd.readouterr()
        (line,) = shown.err.splitlines()
        assert f"--output: {output}" in line
        assert not shown.out


def test_a_mistake_about_beam_is_told_in_a_line(
    hostile: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = ["ingest", str(hostile), "--output", str(tmp_path / "data")]
    assert main([*arguments, "--beam=--runner=NoSuchRunner"]) == 1
    (line,) = capfd.readouterr().err.splitlines()
    assert "NoSuchRunner" in line
    assert not (tmp_path / "data").exists()


def test_a_folder_that_is_complete_may_be_read_only(
    hostile: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "data"
    (root / "span-3").mkdir(parents=True)
    root.chmod(0o500)
    assert main(["ingest", str(hostile), "--output", str(root), "--if-missing"]) == 0
    assert "nothing to do" in capfd.readouterr().out


def test_a_span_that_was_being_replaced_counts(
    hostile: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "data"
    (root / ".span-3.replaced").mkdir(parents=True)
    assert main(["ingest", str(hostile), "--output", str(root), "--if-missing"]) == 0
    assert "span 3" in capfd.readouterr().out
    assert [child.name for child in root.iterdir()] == ["span-3"]
