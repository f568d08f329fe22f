"""Intervals cover what they should, and the measures are those of the Evaluator."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import precision_recall_fscore_support

from components.evaluator.predictions import Answers
from components.report import bootstrap
from trainer.calibration import expected_calibration_error

IMAGES, CLASSES = 400, 5


def _answers(sureness: float, seed: int) -> tuple[np.ndarray, np.ndarray, Answers]:
    random = np.random.default_rng(seed)
    labels = np.random.default_rng(0).integers(0, CLASSES, IMAGES).astype(np.int32)
    logits = random.normal(size=(IMAGES, CLASSES)) + sureness * np.eye(CLASSES)[labels]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = probabilities[np.arange(IMAGES), labels]
    rank = (probabilities > truth[:, None]).sum(axis=1)
    guess = probabilities.argmax(axis=1).astype(np.int32)
    return labels, probabilities, Answers(guess, probabilities.max(axis=1), truth, rank)


def test_when_each_image_counts_once_the_measures_are_the_plain_metrics() -> None:
    labels, probabilities, answers = _answers(1.0, 1)
    found = bootstrap.measure(labels, answers)(np.ones(IMAGES, np.int64))
    precision, recall, f1, _ = precision_recall_fscore_support(
        labels, answers.guess, average="macro", zero_division=0
    )
    top = np.argsort(-probabilities, axis=1)[:, :3]
    assert found == pytest.approx(
        {
            "accuracy": (answers.guess == labels).mean(),
            "top_3_accuracy": (top == labels[:, None]).any(axis=1).mean(),
            "macro_precision": precision,
            "macro_recall": recall,
            "macro_f1": f1,
            "expected_calibration_error": expected_calibration_error(probabilities, labels),
        }
    )


def test_the_interval_of_accuracy_is_that_of_a_share() -> None:
    labels, _, answers = _answers(1.0, 1)
    (own,), differences = bootstrap.intervals(IMAGES, bootstrap.measure(labels, answers))
    share = (answers.guess == labels).mean()
    deviation = np.sqrt(share * (1 - share) / IMAGES)
    assert own["accuracy"].low == pytest.approx(share - 1.96 * deviation, abs=0.01)
    assert own["accuracy"].high == pytest.approx(share + 1.96 * deviation, abs=0.01)
    assert differences == {}


def test_a_paired_difference_is_surer_than_two_models_apart() -> None:
    labels, _, good = _answers(3.0, 1)
    # The same answers, but for twelve images that it gets wrong.
    spoilt = good.guess.copy()
    rows = np.flatnonzero(good.guess == labels)[:12]
    spoilt[rows] = (labels[rows] + 1) % CLASSES
    other = Answers(spoilt, good.score, good.truth_score, good.rank)
    measures = [bootstrap.measure(labels, one) for one in (good, other)]
    (own, _), difference = bootstrap.intervals(IMAGES, *measures)
    found = difference["accuracy"]
    assert 0 < found.low < 12 / IMAGES < found.high
    assert found.high - found.low < own["accuracy"].high - own["accuracy"].low


def test_a_model_does_not_differ_from_itself() -> None:
    labels, _, answers = _answers(1.0, 1)
    one = bootstrap.measure(labels, answers)
    _, differences = bootstrap.intervals(IMAGES, one, one)
    assert {(each.low, each.high) for each in differences.values()} == {(0.0, 0.0)}
