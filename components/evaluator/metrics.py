"""Metrics of a classifier that picks the most probable class, as TFMA metrics.

TFMA's own precision and recall compare each probability with a threshold. No threshold fits here:
among many classes, the right one may be the most probable with a probability of 0.2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import apache_beam as beam
import numpy as np
import numpy.typing as npt
from tensorflow_model_analysis.metrics import metric_types, metric_util
from tensorflow_model_analysis.metrics.multi_class_confusion_matrix_metrics import (
    multi_class_confusion_matrices,
)
from tensorflow_model_analysis.proto import config_pb2

from components.evaluator.class_scores import ClassCounts
from trainer import calibration


class ClassScores(metric_types.Metric):
    """Precision, recall and F1 of each class, where defined; the class id is the sub key."""

    def __init__(self, name: str = "class_scores") -> None:
        """Sets the name of the group; its values are named `precision`, `recall` and `f1`."""
        super().__init__(_computations(_by_class), name=name)


class MacroAverage(metric_types.Metric):
    """The mean of a score over the classes for which it is defined."""

    def __init__(self, name: str) -> None:
        """`name` selects the score: "macro_precision", "macro_recall" or "macro_f1"."""
        super().__init__(_computations(_averaged), name=name)


# Values by name and class id; None stands for all classes together.
_Values = Mapping[tuple[str, int | None], float]


def _by_class(name: str, counts: ClassCounts) -> _Values:
    return {
        (score, int(class_id)): float(values[class_id])
        for score, values in counts.scores.items()
        for class_id in np.flatnonzero(np.isfinite(values))
    }


def _averaged(name: str, counts: ClassCounts) -> _Values:
    return {(name, None): counts.macro(name.removeprefix("macro_"))}


def _computations(
    values: Callable[[str, ClassCounts], _Values],
) -> Callable[..., metric_types.MetricComputations]:
    """Returns the function that makes TFMA apply `values` to its confusion matrix."""

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

        def result(metrics: dict[metric_types.MetricKey, Any]) -> dict[Any, float]:
            found = values(name, _counts(metrics[matrix].get(0.0, {}))).items()
            return {_key(score, class_id, where): value for (score, class_id), value in found}

        # The keys of the result depend on the slice, so the name alone identifies the computation.
        key = _key(name, None, where)
        return [*computations, metric_types.DerivedMetricComputation(keys=[key], result=result)]

    merged: Callable[..., metric_types.MetricComputations]
    merged = metric_util.merge_per_key_computations(create)
    return merged


def _key(name: str, class_id: int | None, where: Mapping[str, Any]) -> metric_types.MetricKey:
    sub_key = None if class_id is None else metric_types.SubKey(class_id=class_id)
    return metric_types.MetricKey(name=name, sub_key=sub_key, **where)


def _counts(cells: Mapping[Any, float]) -> ClassCounts:
    """Sums up TFMA's confusion matrix, which lists only the cells that are not 0."""
    places = {(cell.actual_class_id, cell.predicted_class_id): cells[cell] for cell in cells}
    classes = 1 + max((max(place) for place in places), default=-1)
    matrix = np.zeros((classes, classes))
    for place, count in places.items():
        matrix[place] = count
    return ClassCounts.of_matrix(matrix)


class ExpectedCalibrationError(metric_types.Metric):
    """The mean distance between the confidence in the predicted class and the accuracy.

    The mean over 15 equal bins of |accuracy - confidence|, weighted by the bins' examples: Guo et
    al., "On Calibration of Modern Neural Networks", arXiv:1706.04599, equation 3.
    """

    def __init__(self, name: str = "expected_calibration_error", output: str | None = None) -> None:
        """Names the metric.

        Args:
            name: name of the metric in TFMA's results.
            output: model output to evaluate; None, or a model without this output, means the output
                that all other metrics use.
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
    """Sums weights, confidences and correct predictions by confidence bin: float64 [bins, 3]."""

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
