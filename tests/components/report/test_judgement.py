"""What the Evaluator found is ordered as people ask, and summed up in a sentence."""

from __future__ import annotations

import dataclasses

import pytest

from components.evaluator.scorecard import ClassScore, FailedThreshold, Scorecard
from components.report import judgement
from components.report.page import Interval, Metric
from components.serving_validator.check import ServingCheck

METRICS = {"example_count": 100.0, "accuracy": 0.9, "macro_f1": 0.8}
CARD = Scorecard(
    blessed=True,
    failed=(),
    metrics=METRICS,
    production=None,
    classes=(
        ClassScore("a", 50, 1.0, 0.9, 0.95, None),
        ClassScore("never there", 0, None, None, None, None),
        ClassScore("b", 50, 0.7, 0.8, 0.75, None),
    ),
    slices={
        "image/class/text=a": {"example_count": 50.0, "accuracy": 0.9, "macro_f1": 0.9},
        "image/source=one": {"example_count": 80.0, "accuracy": 0.95, "macro_f1": 0.9},
        "image/source=two": {"example_count": 20.0, "accuracy": 0.7, "macro_f1": 0.6},
    },
    confusion=((45, 0, 5), (0, 0, 0), (8, 2, 40)),
)


def test_the_worst_come_first() -> None:
    assert [one.label for one in judgement.classes(CARD)] == ["b", "a", "never there"]
    slices = judgement.slices(CARD)
    assert [one.name for one in slices] == ["image/source=two", "image/source=one"]
    assert slices[0].interval.low < 0.7 < slices[0].interval.high
    found = [
        (one.truth, one.prediction, one.images, one.share) for one in judgement.confusions(CARD)
    ]
    assert found == [("b", "a", 8, 0.16), ("a", "b", 5, 0.1), ("b", "never there", 2, 0.04)]


def test_without_single_predictions_there_are_values_but_no_intervals() -> None:
    found = judgement.metrics(CARD, None)
    assert found == (Metric("accuracy", 0.9), Metric("macro_f1", 0.8))


@pytest.mark.parametrize(
    ("production", "difference", "words"),
    [
        (None, None, "and there is no model in production yet."),
        (0.85, Interval(0.01, 0.09), "5.0 points more than production."),
        (0.95, Interval(-0.09, -0.01), "5.0 points less than production."),
        (0.89, Interval(-0.01, 0.03), "no clear difference from production (+1.0 points)."),
    ],
)
def test_the_verdict_says_how_it_compares(
    production: float | None, difference: Interval | None, words: str
) -> None:
    metric = Metric("accuracy", 0.9, Interval(0.8, 1.0), production, difference)
    verdict = judgement.verdict(CARD, [metric], 17, None)
    assert verdict.kind == "pushed"
    start = "Version 17 was pushed: it gets 90.0\N{NO-BREAK SPACE}% of 100 test images right"
    assert verdict.sentence.startswith(start)
    assert verdict.sentence.endswith(words)
    assert verdict.reasons == ()


def test_a_refusal_says_why() -> None:
    card = dataclasses.replace(CARD, failed=(FailedThreshold("accuracy", "all", 0.9, 0.95, "min"),))
    verdict = judgement.verdict(
        card, judgement.metrics(card, None), None, ServingCheck(("it is slow",))
    )
    assert verdict.kind == "refused"
    assert verdict.reasons == (
        "accuracy on all: 0.9000 is 0.0500 below the bound of 0.9500",
        "serving: it is slow",
    )
