"""The verdict on small data, by the command line with all defaults: what it must not claim.

Only the image size differs from the defaults, as it decides the time that a run takes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from sklearn.datasets import load_digits

from tests.e2e.conftest import Finished, Once, retrain

pytestmark = pytest.mark.slow

CLASSES = ("zero", "one", "two")
_SIDE = 32


def _write(pixels: Any, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.uint8(pixels)).resize((_SIDE, _SIDE), Image.Resampling.BICUBIC).save(file)


def _digits(folder: Path, counts: Mapping[str, Mapping[int, int]]) -> None:
    """Writes scans of digits, as many of each as asked for, into folders of split and class."""
    scans = load_digits()
    for digit in {digit for by_digit in counts.values() for digit in by_digit}:
        images = iter(scans.images[scans.target == digit])
        for split, by_digit in counts.items():
            for number in range(by_digit.get(digit, 0)):
                name = CLASSES[digit] if digit < len(CLASSES) else f"digit-{digit}"
                _write(next(images) * 16, folder / split / name / f"{number}.png")


def _ingested(folder: Path) -> Path:
    """Ingests the pictures in a folder, and writes a config that has but name and data."""
    done = retrain("ingest", str(folder / "pictures"), "--output", str(folder / "data"))
    assert done.code == 0, done.errors
    config = folder / "config.yaml"
    settings = {
        "name": "small",
        "data": {"root": str(folder / "data")},
        "output": str(folder / "out"),
    }
    config.write_text(yaml.safe_dump(settings), "utf-8")
    return config


def _run(config: Path, *settings: str, json_: bool = True) -> Finished:
    overrides = [part for one in (f"image.size={_SIDE}", *settings) for part in ("--set", one)]
    return retrain("run", "--config", str(config), *(["--json"] if json_ else []), *overrides)


def _scorecard(config: Path) -> Any:
    files = (config.parent / "out" / "artifacts").glob("evaluator/evaluation/*/scorecard.json")
    return json.loads(max(files, key=lambda file: file.stat().st_mtime).read_text("utf-8"))


@pytest.fixture(scope="module")
def untested(once: Once) -> Path:
    """Digits in folders of splits; test has no "two"."""

    def make(folder: Path) -> None:
        _digits(
            folder / "pictures",
            {
                "train": dict.fromkeys(range(3), 40),
                "val": dict.fromkeys(range(3), 10),
                "test": {0: 12, 1: 12},
            },
        )
        _ingested(folder)

    return once("untested", make) / "config.yaml"


def test_a_class_without_a_test_image_is_not_pushed_as_right(untested: Path) -> None:
    run = _run(untested)
    assert run.code == 1, run.errors
    found = run.json
    assert (found["verdict"], found["version"]) == ("refused", None)
    assert found["evidence"]["untested"] == [{"label": "two", "images": 0}]
    (reason,) = found["reasons"]
    assert "two (0)" in reason
    assert "evaluation.untested" in reason
    assert "two (0)" in run.errors  # before anything is trained
    page = Path(found["report"]).read_text("utf-8")
    assert "two (0)" in page


def test_where_the_config_allows_it_the_untested_class_is_told_first(untested: Path) -> None:
    run = _run(untested, "evaluation.untested=tell")
    assert run.code == 0, run.errors
    found = run.json
    assert found["verdict"] == "pushed"
    assert [one["label"] for one in found["evidence"]["untested"]] == ["two"]
    page = Path(found["report"]).read_text("utf-8")
    heading = page.partition("<h1>")[2].partition("</h1>")[0]
    assert heading.startswith("1 of 3 classes has fewer than 5 test images: two (0)")
    # 24 images do not show "100 % to 100 %".
    accuracy = found["evidence"]["accuracy"]
    assert accuracy["low"] < found["metrics"]["accuracy"] - 0.05
    assert found["evidence"]["strength"] == "weak" or accuracy["low"] > 0.85


def test_a_network_that_answers_one_class_to_everything_is_refused(once: Once) -> None:
    def make(folder: Path) -> None:
        # Noise tells nothing of its class, and nine in ten images are of one class.
        random = np.random.default_rng(1)
        for name, count in (("common", 360), ("rare", 40)):
            for number in range(count):
                noise = random.integers(0, 256, (8, 8, 3))
                _write(noise, folder / "pictures" / name / f"{number}.png")
        _ingested(folder)

    run = _run(once("constant", make) / "config.yaml")
    assert run.code == 1, run.errors
    found = run.json
    assert found["verdict"] == "refused"
    assert found["metrics"]["accuracy"] > 0.5  # what the default threshold would let pass
    assert any("answering common to everything" in reason for reason in found["reasons"])


def test_of_two_images_a_class_nothing_is_claimed_that_is_not_defined(once: Once) -> None:
    def make(folder: Path) -> None:
        two = dict.fromkeys(range(10), 1)
        _digits(folder / "pictures", {"train": two, "val": two, "test": {0: 1, 1: 1}})
        _ingested(folder)

    config = once("two-a-class", make) / "config.yaml"
    run = _run(config, json_=False)
    assert run.code == 1, run.errors
    assert "NaN" not in run.output
    row = next(line for line in run.output.splitlines() if line.startswith("digit-7"))
    assert row.split() == ["digit-7", "0", *"\N{EN DASH}" * 4]
    untested = next(one for one in _scorecard(config)["classes"] if one["label"] == "digit-7")
    assert untested["examples"] == 0
    assert {untested[name] for name in ("precision", "recall", "f1", "auc")} == {None}
