"""Metrics of a classifier that picks the most probable class, as TFMA metrics.

TFMA's own precision and recall compare each probability with a threshold. That is another question:
among many classes the right one may win with a probability of 0.2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import numpy as np
import numpy.typing as npt
from tensorflow_model_analysis.metrics import metric_types, metric_util
from tensorflow_model_analysis.metrics.multi_class_confusion_matrix_metrics import (
    multi_class_confusion_matrices,
)
from tensorflow_model_analysis.proto import config_pb2

from trainer import calibration

SCORES = PRECISION, RECALL, F1 = ("precision", "recall", "f1")


def precision_recall_f1(matrix: npt.NDArray[np.float64]) -> dict[str, npt.NDArray[np.float64]]:
    """Computes precision, recall and F1 of every class.

    Args:
        matrix: float [classes, classes], examples by true class (row) and predicted class.

    Returns:
        Float arrays [classes] by metric name. Where a ratio is 0/0 it counts as 0, as in
        scikit-learn's `precision_recall_fscore_support(zero_division=0)`.
    """
    hits, predicted, actual = np.diag(matrix), matrix.sum(axis=0), matrix.sum(axis=1)

    def ratio(part: npt.NDArray[np.float64], whole: npt.NDArray[np.float64]) -> Any:
        return np.divide(part, whole, out=np.zeros_like(part, dtype=float), where=whole > 0)

    return {
        PRECISION: ratio(hits, predicted),
        RECALL: ratio(hits, actual),
        F1: ratio(2 * hits, predicted + actual),
    }


@dataclass(frozen=True)
class _Counted:
    """Precision, recall and F1 of every class, by name; and which classes occur, as bool [classes].

    A class occurs in a slice if an example there is of that class or is predicted as it.
    """

    scores: Mapping[str, npt.NDArray[np.float64]]
    occurring: npt.NDArray[np.bool_]


class ClassScores(metric_types.Metric):
    """Precision, recall and F1 of each class that occurs; the class id is the sub key."""

    def __init__(self, name: str = "class_scores") -> None:
        """Names the bundle; the keys are `precision`, `recall` and `f1`."""
        super().__init__(_computations(_by_class), name=name)


class MacroAverage(metric_types.Metric):
    """The mean of a score over the classes that occur."""

    def __init__(self, name: str) -> None:
        """Takes one of the names "macro_precision", "macro_recall" and "macro_f1"."""
        super().__init__(_computations(_averaged), name=name)


# Values by name and class id; None stands for all classes together.
_Values = Mapping[tuple[str, int | None], float]


def _by_class(name: str, counted: _Counted) -> _Values:
    return {
        (score, int(class_id)): float(values[class_id])
        for score, values in counted.scores.items()
        for class_id in np.flatnonzero(counted.occurring)
    }


def _averaged(name: str, counted: _Counted) -> _Values:
    scores = counted.scores[name.removeprefix("macro_")]
    return {(name, None): float(scores[counted.occurring].mean())}


def _computations(
    values: Callable[[str, _Counted], _Values],
) -> Callable[..., metric_types.MetricComputations]:
    """Returns what TFMA calls to derive values from its confusion matrix."""

    def create(
        name: str,
        eval_config: config_pb2.EvalConfig | None = None,
        model_name: str = "",
        output_name: str = "",
        example_weighted: bool = False,
    ) -> metric_types.MetricComputations:
        where = {
            "model_name": model_name,
            "output_name": output_name,
            "example_weighted": example_weighted,
        }
        computations = multi_class_confusion_matrices(
            thresholds=[0.0], eval_config=eval_config, **where
        )
        matrix = computations[-1].keys[-1]

        def result(
            metrics: dict[metric_types.MetricKey, Any],
        ) -> dict[metric_types.MetricKey, float]:
            return {
                metric_types.MetricKey(
                    name=score,
                    sub_key=None if class_id is None else metric_types.SubKey(class_id=class_id),
                    **where,
                ): value
                for (score, class_id), value in values(name, _counted(metrics[matrix])).items()
            }

        # Which keys there are depends on the slice, so the name alone identifies the computation.
        key = metric_types.MetricKey(name=name, **where)
        return [*computations, metric_types.DerivedMetricComputation(keys=[key], result=result)]

    merged: Callable[..., metric_types.MetricComputations] = metric_util.merge_per_key_computations(
        create
    )
    return merged


def _counted(matrices: Any) -> _Counted:
    """Reads TFMA's confusion matrix, which holds the cells that are not 0."""
    cells = {
        (entry.actual_class_id, entry.predicted_class_id): count
        for entry, count in matrices.get(0.0, {}).items()
    }
    classes = 1 + max((max(cell) for cell in cells), default=-1)
    matrix = np.zeros((classes, classes))
    for cell, count in cells.items():
        matrix[cell] = count
    occurring = (matrix.sum(axis=0) + matrix.sum(axis=1)) > 0
    return _Counted(precision_recall_f1(matrix), occurring)


class ExpectedCalibrationError(metric_types.Metric):
    """The mean distance between the confidence in the predicted class and the accuracy.

    The mean over 15 equal bins of |accuracy - confidence|, weighted by the bins' examples: Guo et
    al., "On Calibration of Modern Neural Networks", arXiv:1706.04599, equation 3.
    """

    def __init__(self, name: str = "expected_calibration_error", output: str | None = None) -> None:
        """Names the metric.

        Args:
            name: its name.
            output: the model's output to judge; by default, and for a model without that output,
                the one that all metrics judge.
        """
        super().__init__(
            metric_util.merge_per_key_computations(_calibration_error), name=name, output=output
        )


def _calibration_error(
    name: str = "expected_calibration_error",
    output: str | None = None,
    eval_config: config_pb2.EvalConfig | None = None,
    model_name: str = "",
    output_name: str = "",
    example_weighted: bool = False,
) -> metric_types.MetricComputations:
    key = metric_types.MetricKey(
        name=name,
        model_name=model_name,
        output_name=output_name,
        example_weighted=example_weighted,
    )
    combiner = _CalibrationCombiner(key, eval_config, output)
    return [metric_types.MetricComputation(keys=[key], preprocessors=None, combiner=combiner)]


class _CalibrationCombiner(beam.CombineFn):
    """Sums examples, confidence and hits by confidence bin: float64 [bins, 3]."""

    def __init__(
        self,
        key: metric_types.MetricKey,
        eval_config: config_pb2.EvalConfig | None,
        output: str | None,
    ) -> None:
        self._key = key
        self._eval_config = eval_config
        self._output = output

    def create_accumulator(self) -> npt.NDArray[np.float64]:
        return np.zeros((calibration.BINS, 3))

    def add_input(
        self, accumulator: npt.NDArray[np.float64], element: metric_types.StandardMetricInputs
    ) -> npt.NDArray[np.float64]:
        label, prediction, weight = next(
            metric_util.to_label_prediction_example_weight(
                element,
                eval_config=self._eval_config,
                model_name=self._key.model_name,
                output_name=self._key.output_name,
                example_weighted=self._key.example_weighted,
                flatten=False,
                require_single_example_weight=True,
            )
        )
        outputs = element.get_predictions()
        if self._key.model_name:
            outputs = outputs.get(self._key.model_name, outputs)
        if self._output is not None and self._output in outputs:
            prediction = outputs[self._output]
        confidence, hit = float(prediction.max()), int(prediction.argmax()) == int(label.item())
        row = calibration.bins(confidence)
        accumulator[row] += np.array([1.0, confidence, float(hit)]) * np.asarray(weight).item()
        return accumulator

    def merge_accumulators(
        self, accumulators: Iterable[npt.NDArray[np.float64]]
    ) -> npt.NDArray[np.float64]:
        merged: npt.NDArray[np.float64] = sum(accumulators, self.create_accumulator())
        return merged

    def extract_output(
        self, accumulator: npt.NDArray[np.float64]
    ) -> dict[metric_types.MetricKey, float]:
        count, confidence, hits = accumulator.T
        return {self._key: float(np.abs(hits - confidence).sum() / max(count.sum(), 1e-9))}
