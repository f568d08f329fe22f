"""Precision, recall and F1 by class are scikit-learn's."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import precision_recall_fscore_support

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
        assert all((score == 0).all() for score in found.values())
        return
    expected = precision_recall_fscore_support(
        actual, predicted, labels=range(classes), zero_division=0
    )
    for name, values in zip(SCORES, expected, strict=False):
        np.testing.assert_allclose(found[name], values)


def test_a_class_that_is_never_there_nor_predicted_scores_0() -> None:
    found = ClassCounts.of_matrix(np.array([[2.0, 0], [0, 0]])).scores
    assert {name: list(values) for name, values in found.items()} == {
        "precision": [1.0, 0.0],
        "recall": [1.0, 0.0],
        "f1": [1.0, 0.0],
    }
