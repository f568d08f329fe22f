"""Two ingests of the same source write the same files, byte for byte."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import PATIENCE_SECONDS, Picture

pytestmark = pytest.mark.slow

_INGEST = """
import sys
from pipeline.data.ingest import span_writer
from retrain.__main__ import main
span_writer._PART_IMAGES = 7  # so that several workers have something to do
sys.exit(main(sys.argv[1:]))
"""
_PROCESSES = ("--beam=--direct_num_workers=2", "--beam=--direct_running_mode=multi_processing")


def _table(folder: Path, picture: Picture) -> Path:
    """Images of every kind, what is no image, splits, and columns to slice by."""
    rows = ["path,label,split,camera,site"]
    for number in range(60):
        kind = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF")[number % 6]
        name = f"{number}.{kind.lower()}"
        (folder / name).write_bytes(
            b"none" if number % 11 == 0 else picture(kind=kind, seed=number)
        )
        split = ("train", "train", "test", "val")[number % 4]
        rows.append(f"{name},{'abc'[number % 3]},{split},{number % 5},{number % 2}")
    (folder / "table.csv").write_text("\n".join(rows))
    return folder / "table.csv"


def _tree(root: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(root)): file.read_bytes() for file in root.rglob("*") if file.is_file()
    }


def test_two_ingests_write_the_same_bytes(tmp_path: Path, picture: Picture) -> None:
    table = _table(tmp_path, picture)
    trees = []
    for seed, options in (("1", ()), ("2", ()), ("3", _PROCESSES)):
        root = tmp_path / f"data-{seed}"
        arguments = ["ingest", str(table), "--output", str(root), "--max-side", "30", *options]
        done = subprocess.run(
            [sys.executable, "-c", _INGEST, *arguments],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_SECONDS,
        )
        assert done.returncode == 1, done.stderr[-2000:]  # some are rejected
        trees.append(_tree(root))
    first, *others = trees
    assert {name.split("/")[1] for name in first if "/" in name} >= {"train", "val", "test"}
    assert len(first) > 20
    assert first["span-0/_rejects.csv"].count(b"\n") == 7
    for other in others:
        assert other == first
