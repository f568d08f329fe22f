"""Precision, recall and F1 by class are scikit-learn's."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, precision_recall_fscore_support

from components.evaluator.class_scores import SCORES, ClassCounts


@settings(max_examples=100, deadline=None)
@given(
    st.integers(1, 5).flatmap(
        lambda classes: st.lists(
            st.lists(st.integers(0, 6), min_size=classes, max_size=classes),
            min_size=classes,
            max_size=classes,
        )
    )
)
def test_scores_are_scikit_learn_s(rows: list[list[int]]) -> None:
    matrix = np.array(rows, float)
    classes = len(rows)
    actual, predicted = np.repeat(
        np.indices(matrix.shape).reshape(2, -1), matrix.ravel().astype(int), axis=1
    )
    found = ClassCounts.of_matrix(matrix).scores
    if not len(actual):
        assert all(np.isnan(score).all() for score in found.values())
        return
    *expected, _ = precision_recall_fscore_support(
        actual, predicted, labels=range(classes), zero_division=np.nan
    )
    there, given_to = matrix.sum(axis=1) > 0, matrix.sum(axis=0) > 0
    defined = {"precision": there & given_to, "recall": there, "f1": there}
    for name, values in zip(SCORES, expected, strict=True):
        np.testing.assert_array_equal(np.isfinite(found[name]), defined[name])
        np.testing.assert_allclose(found[name][defined[name]], values[defined[name]])
    counts = ClassCounts.of_matrix(matrix)
    assert counts.macro("recall") == pytest.approx(balanced_accuracy_score(actual, predicted))


def test_what_is_not_defined_does_not_enter_a_mean() -> None:
    # The first class is mostly right, the second never predicted, the third never there.
    counts = ClassCounts.of_matrix(np.array([[3.0, 0, 1], [2, 0, 0], [0, 0, 0]]))
    found = {name: list(values) for name, values in counts.scores.items()}
    nan = math.nan
    assert found["precision"] == pytest.approx([0.6, nan, nan], nan_ok=True)
    assert found["recall"] == pytest.approx([0.75, 0, nan], nan_ok=True)
    assert found["f1"] == pytest.approx([2 / 3, 0, nan], nan_ok=True)
    means = [counts.macro(name) for name in SCORES]
    assert means == pytest.approx([0.6, 0.375, 1 / 3])


def test_a_mean_over_nothing_is_not_defined() -> None:
    # All images get a class that has none.
    counts = ClassCounts.of_matrix(np.array([[0.0, 2], [0, 0]]))
    assert math.isnan(counts.macro("precision"))
    assert counts.macro("recall") == 0
