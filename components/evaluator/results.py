"""Turns TFMA's output into a scorecard."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow_model_analysis as tfma

from components.evaluator import gate
from components.evaluator.class_scores import F1, PRECISION, RECALL
from components.evaluator.options import Evaluation
from components.evaluator.scorecard import (
    EVERYWHERE,
    ClassScore,
    FailedThreshold,
    Metrics,
    Scorecard,
    beyond,
    failed_slices,
)

_MATRIX = "multi_class_confusion_matrix_at_thresholds"
_DIFFERENCE = "_diff"
_VALUE = "metric_value"


def read(folder: str, labels: Sequence[str], evaluation: Evaluation) -> Scorecard:
    """Reads metrics and failed thresholds from TFMA's output.

    Args:
        folder: folder of TFMA's output.
        labels: class names; the index in this list is the class id.
        evaluation: the config's section `evaluation`.

    Returns:
        The scorecard; blessed only if TFMA's thresholds, the bounds of the slices and those of
        `gate` are all met.
    """
    names = [spec.name for spec in tfma.load_eval_result(folder).config.model_specs]
    candidate = _by_slice(folder, tfma.CANDIDATE_KEY if len(names) > 1 else names[0])
    production = None
    if tfma.BASELINE_KEY in names:
        production = _scalars(_by_slice(folder, tfma.BASELINE_KEY)[()])
    validation = tfma.load_validation_result(folder)
    matrix = _confusion(candidate[()], len(labels))
    slices = {_slice_name(key): _scalars(value) for key, value in candidate.items() if key}
    counts = np.array(matrix, float)
    failed = (
        *gate.failed(counts, labels, evaluation),
        *_failed(validation, production),
        *failed_slices(slices, evaluation.thresholds.each_slice),
    )
    # TFMA does not validate a model without any threshold of its own.
    passes = validation.validation_ok or validation.missing_thresholds
    return Scorecard(
        blessed=passes and not failed,
        failed=failed,
        metrics=_scalars(candidate[()]),
        production=production,
        classes=_classes(candidate[()], labels, matrix),
        slices=slices,
        confusion=tuple(tuple(row) for row in matrix),
        evidence=gate.evidence(counts, labels, evaluation.min_class_images),
    )


def _by_slice(folder: str, model: str) -> dict[Any, Mapping[str, Any]]:
    """Returns a model's metrics by slice key, then by sub key ("" for metrics without one)."""
    result = tfma.load_eval_result(folder, model_name=model)
    return {key: outputs[""] for key, outputs in result.slicing_metrics}


def _slice_name(key: Sequence[tuple[str, object]]) -> str:
    return ", ".join(f"{feature}={value}" for feature, value in key)


def _scalars(by_sub_key: Mapping[str, Any]) -> Metrics:
    return {
        name: _defined(value["doubleValue"])
        for name, value in by_sub_key[""].items()
        if "doubleValue" in value and not name.endswith(_DIFFERENCE)
    }


def _defined(value: str | float) -> float | None:
    """Returns TFMA's number, which may be the text "NaN" in JSON; None if it is not finite."""
    number = float(value)
    return number if math.isfinite(number) else None


def _confusion(by_sub_key: Mapping[str, Any], classes: int) -> list[list[int]]:
    matrix = [[0] * classes for _ in range(classes)]
    value = by_sub_key[""][_MATRIX]["multiClassConfusionMatrixAtThresholds"]
    for entry in value["matrices"][0].get("entries", []):
        # Protobuf leaves zeros out of JSON.
        row, column = entry.get("actualClassId", 0), entry.get("predictedClassId", 0)
        matrix[row][column] = int(entry["numWeightedExamples"])
    return matrix


def _classes(
    by_sub_key: Mapping[str, Any], labels: Sequence[str], matrix: Sequence[Sequence[int]]
) -> tuple[ClassScore, ...]:
    scores = []
    total = sum(map(sum, matrix))
    for class_id, label in enumerate(labels):
        values = by_sub_key.get(f"classId:{class_id}", {})

        def value(name: str, values: Mapping[str, Any] = values) -> float | None:
            return _defined(values.get(name, {}).get("doubleValue", math.nan))

        examples = sum(matrix[class_id])
        scores.append(
            ClassScore(
                label=label,
                examples=examples,
                precision=value(PRECISION),
                recall=value(RECALL),
                f1=value(F1),
                # TFMA gives 0 where there are no positives, or no negatives.
                auc=value("auc") if 0 < examples < total else None,
            )
        )
    return tuple(scores)


def _failed(validation: Any, production: Metrics | None) -> Iterator[FailedThreshold]:
    for part in validation.metric_validations_per_slice:
        for failure in part.failures:
            name = failure.metric_key.name
            value = failure.metric_value.double_value.value if failure.HasField(_VALUE) else None
            if value is not None and math.isnan(value):
                value = None
            threshold = failure.metric_threshold
            if threshold.HasField("change_threshold"):
                allowed = threshold.change_threshold.absolute.value
                before = (production or {}).get(name)
                yield FailedThreshold(
                    metric=name,
                    where=EVERYWHERE,
                    value=None if value is None or before is None else before + value,
                    bound=(before or 0.0) + allowed,
                    kind="regression",
                    production=before,
                )
                continue
            bounds = threshold.value_threshold
            low = bounds.lower_bound.value if bounds.HasField("lower_bound") else None
            high = bounds.upper_bound.value if bounds.HasField("upper_bound") else None
            yield from beyond(name, EVERYWHERE, value, low, high)
