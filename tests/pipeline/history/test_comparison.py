"""Two runs are compared on the images that both have, and by what was asked of them."""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from ml_metadata.proto import metadata_store_pb2 as mlmd
from rich.console import Console

from components.evaluator import predictions, scorecard
from components.evaluator.scorecard import ClassScore, Scorecard
from pipeline.config import ConfigError
from pipeline.history import comparison
from pipeline.history.metadata import History
from tests.pipeline.history.test_metadata import Recorder

State = mlmd.Execution
IMAGES = 60
LABELS = ("cat", "dog [b]", "猫")


def _record(
    recorder: Recorder,
    folder: Path,
    run: str,
    predicted: Sequence[int],
    first_image: int,
    config: dict[str, Any],
) -> None:
    """Records a run whose test split is 60 images from a number on, of class number modulo 3."""
    rows = []
    for number, class_id in enumerate(predicted, first_image):
        probabilities = np.full(3, 0.1, np.float32)
        probabilities[class_id] = 0.8
        name = f"cats/{number}.jpg".encode()
        digest = number.to_bytes(16, "big")
        rows.append(predictions.row(digest, number % 3, probabilities, None, name))
    evaluation = folder / run
    evaluation.mkdir()
    table = pyarrow.Table.from_pylist(rows, predictions.SCHEMA)
    pyarrow.parquet.write_table(table, evaluation / predictions.FILE_NAME)
    truth = np.arange(first_image, first_image + len(predicted)) % 3
    card = Scorecard(
        blessed=True,
        failed=(),
        metrics={"accuracy": float((truth == predicted).mean())},
        production=None,
        classes=tuple(ClassScore(label, 20, None, None, None, None) for label in LABELS),
        slices={},
        confusion=(),
    )
    (evaluation / scorecard.FILE_NAME).write_text(card.to_json(), "utf-8")
    outputs = {"evaluation": mlmd.Artifact(uri=str(evaluation))}
    recorder.record(run, "evaluator", State.COMPLETE, outputs=outputs)
    recorder.record(run, "pusher", State.COMPLETE)
    options = json.dumps({"config": config, "commit": "abc"})
    recorder.record(run, "report", State.COMPLETE, options=options)


@pytest.fixture
def history(tmp_path: Path) -> History:
    recorder = Recorder(tmp_path / "metadata.db")
    right = np.arange(IMAGES) % 3
    wrong = right.copy()
    wrong[:12] = (wrong[:12] + 1) % 3
    _record(recorder, tmp_path, "bad", wrong.tolist(), 0, {"trainer": {"epochs": 3, "seed": 1}})
    _record(recorder, tmp_path, "good", right.tolist(), 0, {"trainer": {"epochs": 9, "seed": 1}})
    # Image 6 is wrong here, and right in "good"; images 0 to 4 are not here.
    shifted = (np.arange(5, 5 + IMAGES) % 3).tolist()
    shifted[1] = (shifted[1] + 1) % 3
    _record(recorder, tmp_path, "later", shifted, 5, {"trainer": {"epochs": 9, "seed": 1}})
    recorder.record("early", "example-gen", State.FAILED)
    return History(str(tmp_path / "metadata.db"), "test")


def test_metrics_config_and_images_that_changed(history: History) -> None:
    found = comparison.compare(history, "bad", "good")
    assert found.settings == (comparison.Setting("trainer.epochs", 3, 9),)
    (accuracy,) = found.metrics
    assert (accuracy.first, accuracy.second) == (0.8, 1.0)
    assert accuracy.interval is not None
    assert 0.09 < accuracy.interval.low < 0.2 < accuracy.interval.high < 0.32
    assert accuracy.reading == "better"
    assert comparison.compare(history, "good", "bad").metrics[0].reading == "worse"
    assert found.images == (IMAGES, IMAGES, IMAGES)
    assert found.broken == ()
    assert {int(one.digest, 16) for one in found.mended} == set(range(12))
    for one in found.mended:
        assert one.name == f"cats/{int(one.digest, 16)}.jpg"
        assert one.truth == one.second == LABELS[int(one.digest, 16) % 3]
        assert one.first == LABELS[(int(one.digest, 16) + 1) % 3]


def test_only_images_that_both_runs_have_count(history: History) -> None:
    found = comparison.compare(history, "good", "later")
    assert found.images == (IMAGES, IMAGES, IMAGES - 5)
    assert [int(one.digest, 16) for one in found.broken] == [6]
    assert found.mended == ()
    assert found.metrics[0].reading == "not clear"
    assert found.settings == ()


def test_it_is_told_as_json_and_to_people(history: History) -> None:
    found = comparison.compare(history, "bad", "good")
    plain = json.loads(comparison.as_json(found))
    assert plain["metrics"][0]["reading"] == "better"
    assert len(plain["mended"]) == 12
    shown = io.StringIO()
    comparison.show(found, Console(file=shown, width=160))
    for text in (
        "trainer.epochs: 3 -> 9",
        "better",
        "0 wrong that A gets right, and 12",
        "[b]",
        "cats/3.jpg",
    ):
        assert text in shown.getvalue()
    assert "2 more; --json has all" in shown.getvalue()


@pytest.mark.parametrize(
    ("commit", "told"),
    [
        ("", "The config is the same."),
        ("0a1b + changes", "The config is the same."),
        ("0a1b", "Config and code are the same."),
    ],
)
def test_code_is_said_to_be_the_same_only_where_that_is_known(
    history: History, commit: str, told: str
) -> None:
    found = comparison.compare(history, "good", "later")
    shown = io.StringIO()
    found = dataclasses.replace(found, commits=(commit, commit))
    comparison.show(found, Console(file=shown, width=160))
    assert told in shown.getvalue()


def test_a_run_that_was_not_evaluated_cannot_be_compared(history: History) -> None:
    with pytest.raises(ConfigError, match="run early: there are no predictions"):
        comparison.compare(history, "good", "early")
