"""A conversion passes if it answers like the SavedModel, and is refused with a sentence if not."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
import tensorflow as tf
from tfx.types import standard_artifacts

from components.edge_gate.component import PARITY_FILE as FILE
from components.edge_gate.component import EdgeGate, Parity
from components.refusal import RefusedError
from tests.conftest import Transformed
from tests.training import run
from trainer import edge

PARITY = Parity(
    images=200, agreement=0.95, accuracy=0.9, edge_accuracy=0.87, bytes=400, edge_bytes=100
)


def test_within_both_bounds_it_passes() -> None:
    assert PARITY.failed(0.95, 0.031) == []


def test_each_missed_bound_has_a_sentence() -> None:
    agreement, accuracy = PARITY.failed(0.97, 0.02)
    assert "0.9500 of the 200 test images" in agreement
    assert "export.min_agreement is 0.9700" in agreement
    assert "0.8700 on test, 0.0300 below" in accuracy


def test_a_better_conversion_is_no_drop() -> None:
    assert dataclasses.replace(PARITY, edge_accuracy=0.95).failed(0.9, 0.0) == []


def test_answers_that_are_no_numbers_are_refused_even_if_the_models_agree() -> None:
    (told,) = dataclasses.replace(PARITY, agreement=1.0, unanswered=3).failed(0.9, 0.1)
    assert "3 of the 200 test images" in told


@pytest.mark.slow
def test_a_trained_model_is_measured_on_test(transformed: Transformed, tmp_path: Path) -> None:
    trained = run(transformed, tmp_path, trainer={"mode": "scratch"}, export={"tflite": "float16"})
    shutil.copytree(trained, tmp_path / "artifact" / "Format-Serving")
    (tmp_path / "examples" / "Split-test").mkdir(parents=True)
    for path in tf.io.gfile.glob(transformed.files):
        shutil.copy(path, tmp_path / "examples" / "Split-test")
    model, examples = standard_artifacts.Model(), standard_artifacts.Examples()
    model.uri, examples.uri = str(tmp_path / "artifact"), str(tmp_path / "examples")
    examples.split_names = json.dumps(["train", "test"])
    parity = standard_artifacts.ModelEvaluation()
    parity.uri = str(tmp_path / "parity")
    inputs = {"model": [model], "examples": [examples]}
    bounds = {"min_agreement": 0.9, "max_accuracy_drop": 0.1}
    execute = EdgeGate.EXECUTOR_SPEC.executor_class().Do
    execute(inputs, {"parity": [parity]}, bounds)
    found = Parity(**json.loads((tmp_path / "parity" / FILE).read_text()))
    assert found.images == len(transformed.images)
    assert found.agreement >= 0.9
    assert 0 < found.edge_bytes < found.bytes
    with pytest.raises(RefusedError, match=r"min_agreement is 1\.1000"):
        execute(inputs, {"parity": [parity]}, {**bounds, "min_agreement": 1.1})
    (tmp_path / "artifact" / "Format-Serving" / edge.FILE).write_bytes(b"no model")
    with pytest.raises(RefusedError, match="does not run"):
        execute(inputs, {"parity": [parity]}, bounds)
