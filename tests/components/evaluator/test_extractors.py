"""Answers over fewer classes are widened, and all are kept, however TFMA nests them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from components.evaluator.extractors import _row, _widen
from trainer.input import digest

SHORT, LONG = np.array([0.4, 0.6], np.float32), np.array([0.1, 0.2, 0.7], np.float32)
WIDE = np.array([0.4, 0.6, 0.0], np.float32)


@pytest.mark.parametrize(
    ("answers", "widened"),
    [
        (LONG, LONG),
        ({"a": LONG, "b": SHORT}, {"a": LONG, "b": WIDE}),
        ({"a": {"x": LONG, "y": LONG}, "b": {"x": SHORT}}, {"a": {"x": LONG}, "b": {"x": WIDE}}),
    ],
)
def test_answers_get_as_many_classes_as_the_longest(answers: Any, widened: Any) -> None:
    found = _widen({"predictions": answers, "labels": 1})
    assert found["labels"] == 1
    if isinstance(answers, np.ndarray):
        np.testing.assert_array_equal(found["predictions"], widened)
        return
    for model, expected in widened.items():
        for output, values in (
            expected.items() if isinstance(expected, dict) else [(None, expected)]
        ):
            answer = found["predictions"][model]
            np.testing.assert_array_equal(answer if output is None else answer[output], values)


@pytest.mark.parametrize(
    ("answers", "labels", "compared"),
    [
        (LONG, np.array([2]), False),
        ({"probabilities": LONG, "uncalibrated": SHORT}, np.array([2]), False),
        ({"candidate": LONG, "baseline": WIDE}, {"candidate": [2], "baseline": [2]}, True),
        (
            {"candidate": {"probabilities": LONG}, "baseline": WIDE},
            {"candidate": np.array([2]), "baseline": np.array([2])},
            True,
        ),
    ],
)
def test_a_row_has_what_each_model_answered(answers: Any, labels: Any, compared: bool) -> None:
    features = {"image/encoded": np.array([b"image"], object)}
    row = _row({"features": features, "labels": labels, "predictions": answers})
    assert row["digest"] == digest(b"image", np.int64(2))
    assert row["label"] == 2
    assert (row["prediction"], row["rank"]) == (2, 0)
    assert row["score"] == row["truth_score"] == pytest.approx(0.7)
    # The class that production does not know has a probability of 0 there.
    expected = (1, pytest.approx(0.6), 0.0, 2) if compared else (None,) * 4
    names = ("prediction", "score", "truth_score", "rank")
    assert tuple(row[f"production_{name}"] for name in names) == expected
