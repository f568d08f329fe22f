"""How sure the metrics are: percentile bootstrap over the test images.

Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13. Images are drawn with
replacement, a thousand times; each time all metrics of both models are computed on the same drawn
images, so that a difference between two models has an interval of its own (a paired bootstrap).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from components.evaluator.predictions import Answers, Ints
from components.report.page import Interval
from trainer.calibration import BINS, bins

_SAMPLES = 1000
_PERCENTILES = (2.5, 97.5)
_SEED = 0

Counts = npt.NDArray[np.int64]
Measure = Callable[[Counts], Mapping[str, float]]


def measure(labels: Ints, answers: Answers) -> Measure:
    """Returns a function from how often each image counts to metrics by TFMA's names.

    Args:
        labels: int32 [images], true class ids.
        answers: a model's answers to them.
    """
    classes = int(max(labels.max(), answers.guess.max())) + 1
    right = labels == answers.guess
    near = answers.rank < 3
    places = bins(answers.score)
    gap = right - answers.score.astype(np.float64)

    def metrics(weights: Counts) -> dict[str, float]:
        total = weights.sum()
        hits = np.bincount(labels, weights * right, classes)
        actual = np.bincount(labels, weights, classes)
        predicted = np.bincount(answers.guess, weights, classes)
        there = actual + predicted > 0
        return {
            "accuracy": float(hits.sum() / total),
            "top_3_accuracy": float((weights @ near) / total),
            "macro_precision": _mean_ratio(hits, predicted, there),
            "macro_recall": _mean_ratio(hits, actual, there),
            "macro_f1": _mean_ratio(2 * hits, actual + predicted, there),
            "expected_calibration_error": float(
                np.abs(np.bincount(places, weights * gap, BINS)).sum() / total
            ),
        }

    return metrics


def _mean_ratio(
    part: npt.NDArray[Any], whole: npt.NDArray[Any], there: npt.NDArray[np.bool_]
) -> float:
    """Averages over the classes that occur; 0/0 counts as 0, as in `evaluator.metrics`."""
    ratio = np.divide(part, whole, out=np.zeros_like(part, dtype=float), where=whole > 0)
    return float(ratio[there].mean())


def intervals(
    images: int, *models: Measure
) -> tuple[list[dict[str, Interval]], dict[str, Interval]]:
    """Computes the intervals of one or two models' metrics, and of their difference.

    Args:
        images: how many there are, at least one.
        models: see `measure`; all over the same images.

    Returns:
        For each model the intervals by metric, and those of the first model's value minus the
        second's; none where there is one model.
    """
    random = np.random.default_rng(_SEED)
    drawn: list[list[Mapping[str, float]]] = [[] for _ in models]
    for _ in range(_SAMPLES):
        counts = np.bincount(random.integers(0, images, images), minlength=images)
        for rows, model in zip(drawn, models, strict=True):
            rows.append(model(counts))
    values = [{name: np.array([row[name] for row in rows]) for name in rows[0]} for rows in drawn]
    each = [{name: _interval(found) for name, found in one.items()} for one in values]
    if len(values) < 2:
        return each, {}
    first, second = values
    return each, {name: _interval(first[name] - second[name]) for name in first}


def _interval(values: npt.NDArray[np.float64]) -> Interval:
    low, high = np.percentile(values, _PERCENTILES)
    return Interval(float(low), float(high))
