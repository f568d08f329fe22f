"""The usual names of splits mean the same to a run and to ingest."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.config import ConfigError
from pipeline.data import layouts
from pipeline.data.ingest import split_names


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("train", {"train": None}),
        ("train test", {"train": "train", "test": "test"}),
        ("train eval", {"train": "train", "eval": "test"}),
        ("train eval test", {"train": "train", "eval": "val", "test": "test"}),
        ("training dev evaluation", {"training": "train", "dev": "val", "evaluation": "test"}),
        ("train val", None),
        ("val test", None),
        ("eval", None),
        ("train val test eval", None),
        ("train val valid test", None),
    ],
)
def test_a_run_and_ingest_read_names_alike(
    tmp_path: Path, names: str, expected: dict[str, str | None] | None
) -> None:
    for name in names.split():
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.tfrecord").touch()
    if expected is None:
        with pytest.raises(ConfigError) as by_run:
            layouts.patterns(str(tmp_path), None)
        with pytest.raises(ConfigError) as by_ingest:
            split_names.splits(str(tmp_path), names.split())
        # What each proposes differs.
        found, told = (str(one.value).split("; did you")[0] for one in (by_run, by_ingest))
        assert told.startswith(found)
        return
    assert split_names.splits("it", names.split()) == expected
    folders = {
        split: glob.split("/")[0] for split, glob in layouts.patterns(str(tmp_path), None).items()
    }
    assert folders == {split or "all": name for name, split in expected.items()}


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("train validation extra", {"train": "train", "validation": "test"}),
        ("train validation test", {"train": "train", "validation": "val", "test": "test"}),
        ("train unlabeled", {"train": None}),
    ],
)
def test_a_catalogue_s_validation_is_test_where_there_is_none(
    names: str, expected: dict[str, str | None]
) -> None:
    assert split_names.of_catalogue("it", names.split()) == expected
