"""What the confusion matrix alone refuses: constant answers, and classes that were not tested."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from components.evaluator import gate
from components.evaluator.options import Evaluation

LABELS = ("cat", "dog", "owl")


def _kinds(matrix: list[list[int]], **options: Any) -> list[str]:
    labels = LABELS[: len(matrix)]
    evaluation = Evaluation.model_validate(options)
    return [one.kind for one in gate.failed(np.array(matrix, float), labels, evaluation)]


@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, n))))
def test_the_number_to_beat_a_constant_is_the_first_that_the_binomial_test_takes(
    counts: tuple[int, int],
) -> None:
    images, majority = counts
    needed = gate.needed_to_beat(images, majority)

    def p(right: int) -> float:
        return float(binomtest(right, images, majority / images, alternative="greater").pvalue)

    assert needed > majority
    assert p(needed - 1) > 0.05
    if needed <= images:
        assert p(needed) <= 0.05


@pytest.mark.parametrize("images", [[20, 20], [90, 10], [500, 6], [6, 7, 400]])
@pytest.mark.parametrize("answer", [0, 1])
def test_a_constant_never_passes(images: list[int], answer: int) -> None:
    matrix = np.zeros((len(images), len(images)), int)
    matrix[:, answer] = images
    assert set(_kinds(matrix.tolist())) == {"majority", "missed"}


def test_a_good_model_passes() -> None:
    assert _kinds([[9, 1], [1, 9]]) == []
    # One class is nine times as frequent, and the rare one is mostly found.
    assert _kinds([[180, 0], [4, 16]]) == []


def test_a_little_better_than_the_majority_is_not_enough() -> None:
    # 93 of 100 where a constant gets 90 would come by chance more often than once in twenty.
    assert _kinds([[88, 2], [5, 5]]) == ["majority"]
    assert _kinds([[90, 0], [3, 7]]) == []


def test_too_few_images_to_show_anything_are_told_so() -> None:
    (only,) = gate.failed(np.array([[60.0, 0], [0, 1]]), LABELS[:2], Evaluation(min_class_images=0))
    assert only.kind == "majority"
    assert only.bound > 1
    assert "cannot show" in only.sentence()


def test_a_class_of_which_nothing_is_found_refuses_if_it_has_enough_images() -> None:
    assert _kinds([[40, 0, 0], [0, 40, 0], [5, 0, 0]]) == ["missed"]
    assert _kinds([[40, 0, 0], [0, 40, 0], [4, 0, 0]]) == ["untested"]
    assert _kinds([[40, 0, 0], [0, 40, 0], [4, 0, 0]], min_class_images=4) == ["missed"]
    assert _kinds([[40, 0, 0], [0, 40, 0], [4, 0, 0]], min_class_images=0) == []


@pytest.mark.parametrize(
    ("options", "kinds"),
    [
        ({}, ["untested"]),
        ({"untested": "tell"}, []),
        ({"min_class_images": 0}, []),
        ({"min_class_images": 40}, ["untested"]),
    ],
)
def test_a_class_without_test_images_refuses_unless_the_config_says_otherwise(
    options: dict[str, Any], kinds: list[str]
) -> None:
    assert _kinds([[40, 0, 0], [0, 40, 0], [0, 0, 0]], **options) == kinds


def test_told_or_refused_the_evidence_names_untested_classes() -> None:
    shown = gate.evidence(np.array([[12.0, 0, 0], [0, 3, 0], [0, 0, 0]]), LABELS, 5)
    assert [(one.label, one.images) for one in shown.untested] == [("dog", 3), ("owl", 0)]
    assert (shown.images, shown.strength, shown.classes) == (15, "weak", 3)
    assert shown.averaged == {"macro_precision": 2, "macro_recall": 2, "macro_f1": 2}


def test_the_gate_can_be_turned_off() -> None:
    constant = [[20, 0], [20, 0]]
    assert _kinds(constant, beat_majority=False) == []


def test_reasons_have_the_numbers_and_the_way_out() -> None:
    matrix = np.array([[90.0, 0, 0], [10, 0, 0], [0, 0, 0]])
    told = [one.sentence() for one in gate.failed(matrix, LABELS, Evaluation())]
    untested, majority, missed = told
    for wanted in ("1 of 3 classes", "owl (0)", "evaluation.untested"):
        assert wanted in untested
    for wanted in ("90 of 100", "answering cat to everything gets 90", "96 must be"):
        assert wanted in majority
    for wanted in ("1 of the 2 classes", "dog (0 of 10)"):
        assert wanted in missed


def test_without_test_images_every_class_is_untested() -> None:
    assert _kinds([[0, 0], [0, 0]]) == ["untested"]
