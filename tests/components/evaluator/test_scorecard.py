"""The scorecard is plain data that survives JSON, and failed thresholds say what failed."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys

import pytest

from components.evaluator.evidence import Evidence, FewImages, Interval
from components.evaluator.options import EachSlice
from components.evaluator.scorecard import (
    ClassScore,
    FailedThreshold,
    Scorecard,
    failed_slices,
)

CARD = Scorecard(
    blessed=False,
    failed=(
        FailedThreshold("accuracy", "all", 0.5, 0.75, "min"),
        FailedThreshold("auc", "a=1", None, 0.5, "min"),
    ),
    metrics={"accuracy": 0.5, "example_count": 4.0},
    production={"accuracy": 0.25},
    classes=(ClassScore("größe", 4, 0.5, 1.0, 2 / 3, None), ClassScore("b", 0, *[None] * 4)),
    slices={"a=1": {"accuracy": 1.0, "example_count": 2.0}},
    confusion=((1, 2), (0, 1)),
    evidence=Evidence(
        images=4,
        accuracy=Interval(0.15, 0.85),
        strength="weak",
        classes=2,
        needed=5,
        untested=(FewImages("b", 0),),
        averaged={"macro_f1": 1},
    ),
)


@pytest.mark.parametrize("production", [None, {"accuracy": 0.25, "macro_f1": None}])
def test_json_and_back_is_the_same_scorecard(production: dict[str, float] | None) -> None:
    card = dataclasses.replace(CARD, production=production)
    assert Scorecard.from_json(card.to_json()) == card


def test_reading_a_scorecard_loads_no_tensorflow() -> None:
    code = (
        "import sys, components.evaluator.scorecard;"
        "sys.exit('tensorflow' in sys.modules or 'tfx' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], check=False).returncode
    assert found == 0, "importing the scorecard loads TensorFlow"


def _bounds(**limits: dict[str, float]) -> EachSlice:
    return EachSlice.model_validate({"min_examples": 5, **limits})


def test_scorecards_of_before_version_0_2_are_read() -> None:
    content = json.loads(CARD.to_json())
    content["misses"] = content.pop("failed")
    del content["evidence"]
    assert Scorecard.from_json(json.dumps(content)) == dataclasses.replace(CARD, evidence=None)


def test_slices_are_held_to_both_bounds() -> None:
    slices = {
        "s=low": {"example_count": 9.0, "accuracy": 0.4, "macro_f1": 0.1},
        "s=high": {"example_count": 9.0, "accuracy": 0.9, "macro_f1": 0.3},
        "s=fine": {"example_count": 9.0, "accuracy": 0.5, "macro_f1": 0.2},
    }
    assert failed_slices(slices, _bounds(accuracy={"min": 0.5}, macro_f1={"max": 0.2})) == (
        FailedThreshold("macro_f1", "s=high", 0.3, 0.2, "max"),
        FailedThreshold("accuracy", "s=low", 0.4, 0.5, "min"),
    )


@pytest.mark.parametrize(("examples", "judged"), [(4, False), (5, True), (6, True)])
def test_small_slices_are_not_judged(examples: int, judged: bool) -> None:
    slices = {"s=a": {"example_count": float(examples), "accuracy": 0.0}}
    assert bool(failed_slices(slices, _bounds(accuracy={"min": 0.5}))) == judged


def test_a_slice_without_the_metric_fails() -> None:
    failed = failed_slices({"s=a": {"example_count": 9.0}}, _bounds(macro_f1={"min": 0.5}))
    assert failed == (FailedThreshold("macro_f1", "s=a", None, 0.5, "min"),)


def test_without_bounds_nothing_fails() -> None:
    assert failed_slices({"s=a": {"example_count": 9.0, "accuracy": 0.0}}, None) == ()


@pytest.mark.parametrize(
    ("failed", "sentence"),
    [
        (
            FailedThreshold("accuracy", "all", 0.5, 0.75, "min"),
            "accuracy on all: 0.5000 is 0.2500 below the bound of 0.7500",
        ),
        (
            FailedThreshold("ece", "image/source=a", 0.5, 0.25, "max"),
            "ece on image/source=a: 0.5000 is 0.2500 above the bound of 0.2500",
        ),
        (
            FailedThreshold("accuracy", "all", 0.5, 0.875, "regression", production=0.9),
            "accuracy on all: 0.5000 is 0.3750 below the bound of 0.8750 (production has 0.9000)",
        ),
        (
            FailedThreshold("f1", "all", None, 0.5, "min"),
            "f1 on all: there is no value; it must pass 0.5000",
        ),
    ],
)
def test_a_failed_threshold_says_what_where_and_by_how_much(
    failed: FailedThreshold, sentence: str
) -> None:
    assert failed.sentence() == sentence
