"""Chance is rarely called drift, and real changes are found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.datasets import load_digits

from components.image_example_gen import measures
from components.span_drift import comparison, look
from components.span_drift.options import Drift
from components.span_drift.sample import Sample

Pixels = npt.NDArray[np.uint8]
Take = Callable[[npt.NDArray[np.int64], Callable[[Pixels], Pixels]], Sample]


@pytest.fixture(scope="module")
def take() -> Take:
    found = load_digits()
    grey = np.rint(found.images * 255 / 16).astype(np.uint8)
    pixels = np.repeat(grey.repeat(4, 1).repeat(4, 2)[..., None], 3, axis=-1)

    def taken(chosen: npt.NDArray[np.int64], change: Callable[[Pixels], Pixels]) -> Sample:
        part = change(pixels[chosen])
        rows = measures.measure(part, measures.luma(part), [100] * len(part))
        classes = Counter(found.target[chosen].astype(str).tolist())
        return Sample(np.array(rows, np.float32), look.describe(part.astype(np.float32)), classes)

    return taken


def _same(pixels: Pixels) -> Pixels:
    return pixels


def _drifted(before: Sample, after: Sample) -> set[str]:
    return {change.feature for change in comparison.changes(before, after, Drift())[0]}


def test_two_halves_of_a_set_seldom_drift(take: Take) -> None:
    random = np.random.default_rng(0)
    alarms = 0
    for _ in range(25):
        order = random.permutation(1797)
        before, after = take(order[:60], _same), take(order[60:120], _same)
        alarms += bool(_drifted(before, after))
    assert alarms <= 1


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda pixels: pixels // 2, {"image/brightness"}),
        # What no measure sees: each is the same for a picture upside down.
        (lambda pixels: pixels[:, ::-1], {"looks"}),
    ],
)
def test_a_real_change_is_found(
    take: Take, change: Callable[[Pixels], Pixels], found: set[str]
) -> None:
    order = np.random.default_rng(1).permutation(1797)
    assert found <= _drifted(take(order[:200], _same), take(order[200:400], change))


def test_a_class_that_is_gone_is_found_by_its_share(take: Take) -> None:
    order = np.random.default_rng(1).permutation(1797)
    few = load_digits().target[order] < 5
    before, after = take(order[few][:200], _same), take(order[~few][:200], _same)
    assert "image/class/text" in _drifted(before, after)


def test_a_sure_trifle_is_no_drift(take: Take) -> None:
    order = np.random.default_rng(1).permutation(1797)
    before, after = take(order[:800], _same), take(order[800:1600], _same)
    more = {name: 10_000 * count for name, count in after.classes.items()}
    huge = Sample(after.measures, after.looks, more)
    assert "image/class/text" not in _drifted(before, huge)


def test_holm_s_correction_is_the_published_one() -> None:
    # Worked by hand: 0.01 * 4, then 0.02 * 3, then 0.03 * 2 raised to the one before, then 0.5.
    assert comparison.holm([0.03, 0.01, 0.5, 0.02]) == pytest.approx([0.06, 0.04, 0.5, 0.06])
