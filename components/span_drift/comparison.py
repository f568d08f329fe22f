"""Tests whether two spans differ, by their samples: measures, looks and shares of classes.

A change counts as drift if it is large enough to matter and unlikely to be chance. The first alone
would blame small spans, the second alone would blame large spans for trifles.

Sources:
    Many tests at once: S. Holm, "A simple sequentially rejective multiple test procedure", 1979.
    Maximum mean discrepancy: A. Gretton et al., "A kernel two-sample test", JMLR 2012.
    Exact p-values from permutations: B. Phipson and G. Smyth, "Permutation p-values should never be
        zero", 2010.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats
from scipy.spatial import distance

from components.span_drift.options import Drift
from components.span_drift.report import LOOKS, Change
from components.span_drift.sample import Sample
from trainer.features import MEASURED, TEXT

Numbers = npt.NDArray[Any]

_BINS = 10
# With so many permutations for each level that must be reached, p-values vary little.
_PER_LEVEL = 10
_AT_ONCE = 2000
_SEED = 20_000


@dataclass(frozen=True)
class _Test:
    """A change and the probability that chance makes one like it, in (0, 1]."""

    change: Change
    p: float


def changes(before: Sample, after: Sample, options: Drift) -> tuple[list[Change], int]:
    """Returns the changes that are drift, and the number of tests made.

    The p-value of a change is Holm's: if nothing drifted, the chance that any p-value of a span
    falls below `options.significance` is at most `options.significance`.

    Args:
        before: sample of the earlier span; not empty.
        after: sample of the later span; not empty.
        options: the least changes that matter, and the significance.

    Returns:
        The changes, the largest in relation to its bound first.
    """
    number = len(MEASURED) + 2
    draws = math.ceil(_PER_LEVEL * number / options.significance)
    tests = [
        _measure(name, before.measures[:, index], after.measures[:, index], options)
        for index, name in enumerate(MEASURED)
    ]
    tests.append(_looks(before.looks, after.looks, options, draws))
    tests.append(_labels(before.classes, after.classes, options, draws))
    images = len(before), len(after)
    found = [
        replace(test.change, p=p, images=test.change.images or images)
        for test, p in zip(tests, holm([test.p for test in tests]), strict=True)
        if test.change.value >= test.change.threshold and p <= options.significance
    ]
    found.sort(key=lambda change: (-change.value / change.threshold, change.feature))
    return found, number


def holm(values: Sequence[float]) -> list[float]:
    """Returns p-values corrected by Holm for their number, each at most 1."""
    order = np.argsort(values)
    weighted = np.asarray(values)[order] * np.arange(len(values), 0, -1)
    corrected = np.empty(len(values))
    corrected[order] = np.minimum(np.maximum.accumulate(weighted), 1)
    return [float(value) for value in corrected]


def _measure(name: str, before: Numbers, after: Numbers, options: Drift) -> _Test:
    pooled = np.concatenate([before, after])
    edges = np.unique(np.quantile(pooled, np.arange(1, _BINS) / _BINS))
    # Both sides together give a value that equals an edge a bin of its own.
    bins = np.searchsorted(edges, pooled, "left") + np.searchsorted(edges, pooled, "right")
    counts = [
        np.bincount(part, minlength=2 * len(edges) + 1)
        for part in (bins[: len(before)], bins[len(before) :])
    ]
    divergence = float(distance.jensenshannon(*counts, base=2)) ** 2
    change = Change(
        name,
        "Jensen-Shannon divergence",
        divergence,
        options.max_divergence,
        "mean",
        float(before.mean()),
        float(after.mean()),
    )
    return _Test(change, float(stats.ks_2samp(before, after).pvalue))


def _looks(before: Numbers, after: Numbers, options: Drift, draws: int) -> _Test:
    pooled = np.concatenate([before, after]).astype(np.float64)
    squares = distance.pdist(pooled, "sqeuclidean")
    kernel = distance.squareform(np.exp(-squares / max(float(np.median(squares)), 1e-12)))
    is_after = np.arange(len(pooled)) >= len(before)
    told = _told_apart(kernel, is_after)
    change = Change(LOOKS, "share told apart", told, options.min_told_apart, LOOKS, 0.5, told)
    return _Test(change, _discrepancy_p(kernel, is_after, draws))


def _told_apart(kernel: Numbers, is_after: npt.NDArray[np.bool_]) -> float:
    """Returns how well a kernel classifier tells the spans apart, as ROC AUC in [0, 1].

    Each image is compared with the others only: the kernel's diagonal is 0.
    """
    later, earlier = is_after.astype(np.float64), (~is_after).astype(np.float64)
    score = kernel @ later / (later.sum() - later) - kernel @ earlier / (earlier.sum() - earlier)
    wins = stats.mannwhitneyu(score[is_after], score[~is_after]).statistic
    return float(wins / (later.sum() * earlier.sum()))


def _discrepancy_p(kernel: Numbers, is_after: npt.NDArray[np.bool_], draws: int) -> float:
    """Returns the p-value of the maximum mean discrepancy, from permutations of the images."""
    random = np.random.default_rng(_SEED)
    single = kernel.astype(np.float32)
    weights = np.where(is_after, 1 / is_after.sum(), -1 / (~is_after).sum()).astype(np.float32)

    def discrepancy(rows: Numbers) -> Numbers:
        found: Numbers = np.einsum("ij,ij->i", rows @ single, rows)
        return found

    observed = discrepancy(weights[None])[0]
    as_large = 0
    for start in range(0, draws, _AT_ONCE):
        rows = np.tile(weights, (min(_AT_ONCE, draws - start), 1))
        # Rounding must not make a permutation that changes nothing look smaller.
        as_large += int((discrepancy(random.permuted(rows, axis=1)) >= observed - 1e-7).sum())
    return (as_large + 1) / (draws + 1)


def _labels(
    before: Mapping[str, int], after: Mapping[str, int], options: Drift, draws: int
) -> _Test:
    names = sorted(before.keys() | after.keys())
    table = np.array([[classes.get(name, 0) for name in names] for classes in (before, after)])
    sizes = table.sum(axis=1)
    was, now = table / sizes[:, None]
    furthest = int(np.abs(now - was).argmax())
    change = Change(
        TEXT,
        "L-infinity distance",
        float(abs(now - was)[furthest]),
        options.max_label_distance,
        f"share of {names[furthest]}",
        float(was[furthest]),
        float(now[furthest]),
        images=(int(sizes[0]), int(sizes[1])),
    )
    return _Test(change, _homogeneity_p(table, draws))


def _homogeneity_p(table: npt.NDArray[np.int64], draws: int) -> float:
    """Returns the p-value of the chi-squared statistic of a table of two rows.

    It comes from random tables with the same sums, because chi-squared's own distribution holds
    only where each class has several images.
    """
    table = table[:, table.sum(axis=0) > 0]
    totals, first = table.sum(axis=0), table[0]
    expected = totals * first.sum() / totals.sum()
    random = np.random.default_rng(_SEED)
    # For fixed sums, both rows deviate alike, so one row and these weights rank the tables.
    observed = ((first - expected) ** 2 / expected).sum()
    as_large = 0
    for start in range(0, draws, _AT_ONCE):
        number = min(_AT_ONCE, draws - start)
        drawn = random.multivariate_hypergeometric(totals, first.sum(), number, method="marginals")
        statistic = ((drawn - expected) ** 2 / expected).sum(axis=1)
        as_large += int((statistic >= observed - 1e-9).sum())
    return (as_large + 1) / (draws + 1)
