"""Intervals of shares say something at their edges, and evidence has its weight."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.stats import binom, binomtest, chi2

from components.evaluator import evidence
from components.evaluator.evidence import Evidence, FewImages, Interval


@pytest.mark.parametrize(
    ("hits", "images"), [(12, 12), (0, 12), (1, 1), (0, 1), (1, 2), (955, 1000), (1000, 1000)]
)
def test_the_interval_of_a_share_is_scipy_s(hits: int, images: int) -> None:
    expected = binomtest(hits, images).proportion_ci(confidence_level=0.95, method="wilson")
    found = evidence.share(hits, images)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert found.low < found.high


def test_twelve_of_twelve_are_76_to_100_percent() -> None:
    found = evidence.share(12, 12)
    assert found.low == pytest.approx(0.7575, abs=1e-4)
    assert found.high == 1.0


def test_without_images_nothing_is_known() -> None:
    assert evidence.share(0, 0) == Interval(0.0, 1.0)


@pytest.mark.parametrize(
    ("hits", "images", "strength"),
    [(1, 1, "weak"), (12, 12, "weak"), (60, 60, "fair"), (90, 120, "weak"), (290, 300, "strong")],
)
def test_evidence_is_as_strong_as_its_interval_is_narrow(
    hits: int, images: int, strength: str
) -> None:
    assert evidence.strength(evidence.share(hits, images)) == strength


@pytest.mark.parametrize("cells", itertools.product((0, 1, 7), repeat=4))
def test_the_interval_of_a_difference_holds_it_and_turns_with_it(
    cells: tuple[int, int, int, int],
) -> None:
    both, first, second, neither = cells
    if not sum(cells):
        return
    found = evidence.share_difference(*cells)
    difference = (first - second) / sum(cells)
    assert -1 <= found.low <= difference + 1e-12
    assert difference - 1e-12 <= found.high <= 1
    assert found.low < found.high
    other = evidence.share_difference(both, second, first, neither)
    assert (other.low, other.high) == pytest.approx((-found.high, -found.low))


@pytest.mark.parametrize("images", [1, 2, 3])
def test_few_images_show_no_difference(images: int) -> None:
    found = evidence.share_difference(0, images, 0, 0)
    assert found.low < 0 < found.high


@pytest.mark.parametrize("cells", [(53, 16, 9, 3), (80, 2, 14, 4), (0, 9, 3, 0), (500, 30, 55, 9)])
def test_a_difference_of_many_images_is_told_as_by_mcnemar_s_test(
    cells: tuple[int, int, int, int],
) -> None:
    _, first, second, _ = cells
    clear = chi2.sf((first - second) ** 2 / (first + second), 1) < 0.05
    found = evidence.share_difference(*cells)
    assert (not found.low <= 0 <= found.high) == clear


@pytest.mark.parametrize(("shift", "images"), [(0.0, 20), (0.1, 20), (0.1, 200), (0.2, 50)])
def test_19_of_20_intervals_of_a_difference_hold_the_truth(shift: float, images: int) -> None:
    random = np.random.default_rng(5)
    shares = (0.6 - shift / 2, 0.15 + shift, 0.15, 0.1 - shift / 2)
    drawn = random.multinomial(images, np.array(shares) / sum(shares), 400)
    found = [evidence.share_difference(*map(int, cells)) for cells in drawn]
    truth = shift / sum(shares)
    covered = sum(one.low <= truth <= one.high for one in found)
    assert covered >= binom.ppf(0.001, len(found), 0.95)


def _evidence(**changes: object) -> Evidence:
    given = {"images": 12, "accuracy": evidence.share(12, 12), "strength": "weak", "classes": 3}
    return Evidence(**{**given, **changes})  # type: ignore[arg-type]


def test_classes_that_were_hardly_tested_are_named_with_their_images() -> None:
    found = _evidence(needed=5, untested=(FewImages("cat", 0), FewImages("größe", 4)))
    for wanted in ("2 of 3 classes", "5 test images", "cat (0)", "größe (4)"):
        assert wanted in found.warning()
    assert _evidence().warning() == ""


def test_many_names_do_not_make_a_wall() -> None:
    untested = tuple(FewImages(f"class {number}", 0) for number in range(1000))
    assert len(_evidence(classes=1000, needed=5, untested=untested).warning()) < 300


def test_a_mean_over_a_part_of_the_classes_says_so() -> None:
    found = _evidence(averaged={"macro_precision": 2, "macro_f1": 3})
    assert found.means("macro_precision") == "over 2 of 3 classes"
    assert found.means("macro_f1") == ""
    assert found.means("accuracy") == ""
