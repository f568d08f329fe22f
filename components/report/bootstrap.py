"""Computes confidence intervals of the metrics by percentile bootstrap over the test images.

Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13. Images are drawn with
replacement, a thousand times. Each time all metrics of both models are computed on the same drawn
images, which also gives an interval of the difference between both models (a paired bootstrap).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from components.evaluator.catalogue import CATALOGUE
from components.evaluator.predictions import Ints, Predicted
from components.evaluator.sample import Sample, Scored
from components.report.page import Interval

_SAMPLES = 1000
_PERCENTILES = (2.5, 97.5)
_SEED = 0


def intervals(
    labels: Ints, *models: Predicted
) -> tuple[list[dict[str, Interval]], dict[str, Interval]]:
    """Computes confidence intervals of the metrics of one or two models, and of their difference.

    Args:
        labels: int32 [images], true class ids; at least one.
        models: predictions of one or two models for these images.

    Returns:
        A list with each model's intervals by metric; and by metric the intervals of the difference
        first model - second model, empty if there is only one model.
    """
    random = np.random.default_rng(_SEED)
    images = len(labels)
    scored = [Scored(labels, model) for model in models]
    drawn: list[list[Mapping[str, float]]] = [[] for _ in models]
    for _ in range(_SAMPLES):
        counts = np.bincount(random.integers(0, images, images), minlength=images)
        for rows, one in zip(drawn, scored, strict=True):
            sample = Sample(one, counts)
            rows.append({metric.name: metric.measure(sample) for metric in CATALOGUE})
    values = [{name: np.array([row[name] for row in rows]) for name in rows[0]} for rows in drawn]
    each = [{name: _interval(found) for name, found in one.items()} for one in values]
    if len(values) < 2:
        return each, {}
    first, second = values
    return each, {name: _interval(first[name] - second[name]) for name in first}


def _interval(values: npt.NDArray[np.float64]) -> Interval:
    low, high = np.percentile(values, _PERCENTILES)
    return Interval(float(low), float(high))
