"""Intervals cover what they should, and a difference has an interval of its own."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

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
    assert {(each.low, each.high) for each in differences.values()} == {(0.0, 0.0)}
