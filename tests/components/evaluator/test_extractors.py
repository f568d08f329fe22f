"""Answers over fewer classes are widened, however TFMA nests them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from components.evaluator.extractors import _widen

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
