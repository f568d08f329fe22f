"""Each way in which a served answer can be wrong has its sentence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from components.serving_validator.checks import (
    Answers,
    Measured,
    exceeded,
    wrong_answers,
)
from components.serving_validator.options import Serving

LABELS = ("cat", "dog")
EXPECTED = np.array([[0.75, 0.25], [0.4, 0.6]])
RIGHT = Answers("REST", EXPECTED + 1e-5, ("cat", "dog"), (EXPECTED + 1e-5).max(axis=1))
BOUNDS = Serving(images=2, p50_ms=10, p99_ms=50, memory_mb=100, load_seconds=1)


def test_right_answers_are_not_talked_about() -> None:
    assert wrong_answers(RIGHT, EXPECTED, LABELS, 1e-3) == []


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        (replace(RIGHT, probabilities=EXPECTED[:1]), "shape [1, 2], not [2, 2]"),
        (replace(RIGHT, probabilities=EXPECTED[:, :1]), "shape [2, 1], not [2, 2]"),
        (
            replace(
                RIGHT,
                probabilities=EXPECTED + np.array([[0.01, 0.0], [0.0, 0.0]]),
                scores=np.array([0.76, 0.6]),
            ),
            "of 1 of 2 images are not the Evaluator's: the largest difference is 0.01",
        ),
        (replace(RIGHT, probabilities=EXPECTED * np.nan), "of 2 of 2 images"),
        (replace(RIGHT, labels=("cat", "cat")), "1 of 2 labels are wrong: the first is 'cat'"),
        (replace(RIGHT, labels=("cat", "")), "the first is '' where the label list has 'dog'"),
        (replace(RIGHT, scores=np.array([0.75, 0.5])), "a score is not the largest"),
    ],
)
def test_what_is_wrong_is_told(answers: Answers, words: str) -> None:
    assert words in wrong_answers(answers, EXPECTED, LABELS, 1e-3)[0]


def test_bounds_that_are_kept_or_open_are_not_talked_about() -> None:
    assert exceeded(Measured((1.0, 2.0, 3.0), 99.0), BOUNDS) == []
    anything = Serving(p50_ms=None, p99_ms=None, memory_mb=None)
    assert exceeded(Measured((1e6,), 1e6), anything) == []


def test_each_bound_that_is_exceeded_is_told() -> None:
    told = exceeded(Measured((20.0, 20.0, 70.0), 101.0), BOUNDS)
    assert [sentence.partition(" of the server")[0] for sentence in told] == [
        "median latency",
        "99th percentile of latency",
        "peak memory",
    ]
    assert told[0].endswith("is 20 ms, above the bound of 10 ms")
