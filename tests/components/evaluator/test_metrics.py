"""Precision, recall and F1 are scikit-learn's; calibration is judged by the output asked for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import precision_recall_fscore_support
from tensorflow_model_analysis.metrics import metric_types
from tensorflow_model_analysis.proto import config_pb2

from components.evaluator import metrics


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
    found = metrics.precision_recall_f1(matrix)
    if not len(actual):
        assert all((score == 0).all() for score in found.values())
        return
    expected = precision_recall_fscore_support(
        actual, predicted, labels=range(classes), zero_division=0
    )
    for name, values in zip(metrics.SCORES, expected, strict=False):
        np.testing.assert_allclose(found[name], values)


def test_a_class_that_is_never_there_nor_predicted_scores_0() -> None:
    found = metrics.precision_recall_f1(np.array([[2.0, 0], [0, 0]]))
    assert {name: list(values) for name, values in found.items()} == {
        "precision": [1.0, 0.0],
        "recall": [1.0, 0.0],
        "f1": [1.0, 0.0],
    }


@pytest.mark.parametrize(
    ("output", "outputs", "error"),
    [
        (None, {"probabilities": [0.9, 0.1], "uncalibrated": [0.6, 0.4]}, 0.1),
        ("uncalibrated", {"probabilities": [0.9, 0.1], "uncalibrated": [0.6, 0.4]}, 0.4),
        ("uncalibrated", {"probabilities": [0.9, 0.1]}, 0.1),  # a model from before there was one
    ],
)
@pytest.mark.parametrize("model", ["", "candidate"])
def test_the_calibration_error_may_be_that_of_another_output(
    output: str | None, outputs: dict[str, list[float]], error: float, model: str
) -> None:
    predictions = {name: np.array(values) for name, values in outputs.items()}
    element = metric_types.StandardMetricInputs(
        labels=np.array([0]),
        predictions={model: predictions} if model else predictions,
        example_weights=np.array([1.0]),
    )
    config = config_pb2.EvalConfig(
        model_specs=[config_pb2.ModelSpec(name=model, prediction_key="probabilities")]
    )
    key = metric_types.MetricKey(name="error", model_name=model)
    combiner = metrics._CalibrationCombiner(key, config, output)
    accumulator = combiner.add_input(combiner.create_accumulator(), element)
    assert combiner.extract_output(accumulator)[key] == pytest.approx(error)
