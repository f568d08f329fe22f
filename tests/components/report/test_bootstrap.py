"""Intervals cover what they should, and a difference has an interval of its own."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import scipy.stats
from scipy.stats import binomtest
from sklearn.metrics import balanced_accuracy_score

from components.evaluator.predictions import Predicted
from components.report import bootstrap

IMAGES, CLASSES = 400, 5


def _predicted(sureness: float, seed: int) -> tuple[np.ndarray, Predicted]:
    random = np.random.default_rng(seed)
    labels = np.random.default_rng(0).integers(0, CLASSES, IMAGES).astype(np.int32)
    logits = random.normal(size=(IMAGES, CLASSES)) + sureness * np.eye(CLASSES)[labels]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = probabilities[np.arange(IMAGES), labels]
    rank = (probabilities > truth[:, None]).sum(axis=1)
    best = probabilities.argmax(axis=1).astype(np.int32)
    return labels, Predicted(best, probabilities.max(axis=1), truth, rank)


def test_the_interval_of_accuracy_is_that_of_a_share() -> None:
    labels, predicted = _predicted(1.0, 1)
    (own,), differences = bootstrap.intervals(labels, predicted)
    share = (predicted.prediction == labels).mean()
    deviation = np.sqrt(share * (1 - share) / IMAGES)
    assert own["accuracy"].low == pytest.approx(share - 1.96 * deviation, abs=0.01)
    assert own["accuracy"].high == pytest.approx(share + 1.96 * deviation, abs=0.01)
    assert differences == {}


def test_a_paired_difference_is_surer_than_two_models_apart() -> None:
    labels, good = _predicted(3.0, 1)
    # The same predictions, except for twelve images that are now wrong.
    spoilt = good.prediction.copy()
    rows = np.flatnonzero(good.prediction == labels)[:12]
    spoilt[rows] = (labels[rows] + 1) % CLASSES
    other = dataclasses.replace(good, prediction=spoilt)
    (own, _), difference = bootstrap.intervals(labels, good, other)
    found = difference["accuracy"]
    assert 0 < found.low < 12 / IMAGES < found.high
    assert found.high - found.low < own["accuracy"].high - own["accuracy"].low


def test_a_model_does_not_differ_from_itself() -> None:
    labels, predicted = _predicted(1.0, 1)
    _, differences = bootstrap.intervals(labels, predicted, predicted)
    # All samples agree on what is no share of images, and so show nothing.
    assert differences.keys() == {"accuracy", "top_3_accuracy"}
    assert all(each.low < 0 < each.high for each in differences.values())


def _sure(labels: np.ndarray, right: bool) -> Predicted:
    images = len(labels)
    prediction = labels if right else (labels + 1) % CLASSES
    score = np.full(images, 0.75, np.float32)
    rank = np.full(images, 0 if right else 1, np.int32)
    return Predicted(prediction.astype(np.int32), score, score if right else 1 - score, rank)


@pytest.mark.parametrize("images", [1, 2, 12])
@pytest.mark.parametrize("right", [True, False])
def test_all_right_and_all_wrong_have_scipy_s_interval(images: int, right: bool) -> None:
    labels = np.arange(images).astype(np.int32) % CLASSES
    (own,), _ = bootstrap.intervals(labels, _sure(labels, right))
    hits = images if right else 0
    expected = binomtest(hits, images).proportion_ci(method="wilson")
    assert (own["accuracy"].low, own["accuracy"].high) == pytest.approx(tuple(expected))
    # In no sample does another value come up: nothing is said, rather than "100 to 100 %".
    assert own.keys() == {"accuracy", "top_3_accuracy"}


def test_few_images_show_no_difference() -> None:
    labels = np.zeros(2, np.int32)
    _, differences = bootstrap.intervals(labels, _sure(labels, True), _sure(labels, False))
    assert differences["accuracy"].low < 0 < differences["accuracy"].high


def test_intervals_of_what_is_no_share_are_scipy_s() -> None:
    labels, predicted = _predicted(1.0, 1)
    (own,), _ = bootstrap.intervals(labels, predicted)

    def macro_recall(rows: np.ndarray) -> float:
        return float(balanced_accuracy_score(labels[rows], predicted.prediction[rows]))

    expected = scipy.stats.bootstrap(
        (np.arange(IMAGES),),
        macro_recall,
        n_resamples=1000,
        vectorized=False,
        method="percentile",
        random_state=1,
    ).confidence_interval
    found = own["macro_recall"]
    assert (found.low, found.high) == pytest.approx(tuple(expected), abs=0.01)
