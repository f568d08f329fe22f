"""Computes confidence intervals of the metrics on the test images.

A share of images has Wilson's interval, and a difference of shares Tango's for paired data; see
`components.evaluator.evidence`. Both also hold where all images are right, or where there is one.

All other metrics have an interval by percentile bootstrap: Efron and Tibshirani, "An Introduction
to the Bootstrap", 1993, chapter 13. Images are drawn with replacement, a thousand times. Each time
the metrics of both models are computed on the same drawn images, which also gives an interval of
the difference between both models (a paired bootstrap).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from components.evaluator import evidence
from components.evaluator.catalogue import CATALOGUE, Metric
from components.evaluator.evidence import Interval
from components.evaluator.predictions import Ints, Predicted
from components.evaluator.sample import Sample, Scored

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
        first model - second model, empty if there is only one model. A metric that is the same in
        all samples has no interval, as these images do not show how much it varies.
    """
    scored = [Scored(labels, model) for model in models]
    resampled = [metric for metric in CATALOGUE if metric.hits is None]
    drawn = _resampled(scored, resampled)
    each = [{**_shares(one), **_varying(found)} for one, found in zip(scored, drawn, strict=True)]
    if len(drawn) < 2:
        return each, {}
    first, second = drawn
    differences = {name: first[name] - second[name] for name in first}
    return each, {**_share_differences(*scored), **_varying(differences)}


def _resampled(
    scored: Sequence[Scored], metrics: Sequence[Metric]
) -> list[dict[str, npt.NDArray[np.float64]]]:
    """Returns each model's values of the metrics, [samples]; all models have the same samples."""
    random = np.random.default_rng(_SEED)
    images = len(scored[0].labels)
    values = [{metric.name: np.empty(_SAMPLES) for metric in metrics} for _ in scored]
    for row in range(_SAMPLES):
        counts = np.bincount(random.integers(0, images, images), minlength=images)
        for one, found in zip(scored, values, strict=True):
            sample = Sample(one, counts)
            for metric in metrics:
                found[metric.name][row] = metric.measure(sample)
    return values


def _shares(scored: Scored) -> dict[str, Interval]:
    return {
        metric.name: evidence.share(int(metric.hits(scored).sum()), len(scored.labels))
        for metric in CATALOGUE
        if metric.hits is not None
    }


def _share_differences(first: Scored, second: Scored) -> dict[str, Interval]:
    found = {}
    for metric in CATALOGUE:
        if metric.hits is not None:
            one, other = metric.hits(first), metric.hits(second)
            cells = (one & other, one & ~other, ~one & other, ~one & ~other)
            found[metric.name] = evidence.share_difference(*(int(cell.sum()) for cell in cells))
    return found


def _varying(values: Mapping[str, npt.NDArray[np.float64]]) -> dict[str, Interval]:
    """Returns percentile intervals, without those whose ends meet."""
    found = {}
    for name, drawn in values.items():
        # A sample may leave a metric undefined, as it may lack all images of each predicted class.
        defined = drawn[np.isfinite(drawn)]
        low, high = np.percentile(defined, _PERCENTILES) if len(defined) else (0.0, 0.0)
        if low < high:
            found[name] = Interval(float(low), float(high))
    return found
