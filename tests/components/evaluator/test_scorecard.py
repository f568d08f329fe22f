"""The scorecard as plain data: it survives JSON, and finds and words what was missed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from components.evaluator.scorecard import (
    ClassScore,
    Miss,
    Scorecard,
    SliceBounds,
    slice_misses,
)

CARD = Scorecard(
    blessed=False,
    misses=(Miss("accuracy", "all", 0.5, 0.75, "min"), Miss("auc", "a=1", None, 0.5, "min")),
    metrics={"accuracy": 0.5, "example_count": 4.0},
    production={"accuracy": 0.25},
    classes=(ClassScore("größe", 4, 0.5, 1.0, 2 / 3, None), ClassScore("b", 0, *[None] * 4)),
    slices={"a=1": {"accuracy": 1.0, "example_count": 2.0}},
    confusion=((1, 2), (0, 1)),
)


@pytest.mark.parametrize("production", [None, {"accuracy": 0.25}])
def test_json_and_back_is_the_same_scorecard(production: dict[str, float] | None) -> None:
    import dataclasses

    card = dataclasses.replace(CARD, production=production)
    assert Scorecard.from_json(card.to_json()) == card


def test_reading_a_scorecard_loads_no_tensorflow() -> None:
    code = (
        "import sys, components.evaluator.scorecard;"
        "sys.exit('tensorflow' in sys.modules or 'tfx' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], check=False).returncode
    assert found == 0, "importing the scorecard loads TensorFlow"


def test_slices_are_held_to_both_bounds() -> None:
    slices = {
        "s=low": {"example_count": 9.0, "accuracy": 0.4, "ece": 0.1},
        "s=high": {"example_count": 9.0, "accuracy": 0.9, "ece": 0.3},
        "s=fine": {"example_count": 9.0, "accuracy": 0.5, "ece": 0.2},
    }
    bounds = SliceBounds(5, {"accuracy": (0.5, None), "ece": (None, 0.2)})
    assert slice_misses(slices, bounds) == [
        Miss("ece", "s=high", 0.3, 0.2, "max"),
        Miss("accuracy", "s=low", 0.4, 0.5, "min"),
    ]


@pytest.mark.parametrize(("examples", "judged"), [(4, False), (5, True), (6, True)])
def test_small_slices_are_not_judged(examples: int, judged: bool) -> None:
    slices = {"s=a": {"example_count": float(examples), "accuracy": 0.0}}
    misses = slice_misses(slices, SliceBounds(5, {"accuracy": (0.5, None)}))
    assert bool(misses) == judged


def test_a_slice_without_the_metric_misses_the_bound() -> None:
    misses = slice_misses({"s=a": {"example_count": 9.0}}, SliceBounds(1, {"f1": (0.5, None)}))
    assert misses == [Miss("f1", "s=a", None, 0.5, "min")]


def test_without_bounds_nothing_is_missed() -> None:
    assert slice_misses({"s=a": {"example_count": 9.0, "accuracy": 0.0}}, SliceBounds()) == []


@pytest.mark.parametrize(
    ("miss", "sentence"),
    [
        (
            Miss("accuracy", "all", 0.5, 0.75, "min"),
            "accuracy on all: 0.5000 is 0.2500 below the bound of 0.7500",
        ),
        (
            Miss("ece", "image/source=a", 0.5, 0.25, "max"),
            "ece on image/source=a: 0.5000 is 0.2500 above the bound of 0.2500",
        ),
        (
            Miss("accuracy", "all", 0.5, 0.875, "regression", production=0.9),
            "accuracy on all: 0.5000 is 0.3750 below the bound of 0.8750 (production has 0.9000)",
        ),
        (
            Miss("f1", "all", None, 0.5, "min"),
            "f1 on all: there is no value; it must pass 0.5000",
        ),
    ],
)
def test_a_miss_says_what_where_and_by_how_much(miss: Miss, sentence: str) -> None:
    assert miss.sentence() == sentence
