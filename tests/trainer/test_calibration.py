"""Temperature scaling finds the temperature that there is, and the error says what it mended."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special

from trainer import calibration


@pytest.mark.parametrize("true", [0.4, 1.0, 3.0])
def test_the_temperature_is_found_and_mends_the_error(true: float) -> None:
    random = np.random.default_rng(0)
    honest = random.normal(0, 2, (20_000, 5))
    labels = (
        scipy.special.softmax(honest, axis=1).cumsum(axis=1) > random.random((20_000, 1))
    ).argmax(axis=1)
    logits = (honest * true).astype(np.float32)
    found = calibration.temperature(logits, labels)
    assert found == pytest.approx(true, rel=0.05)
    before, after = (
        calibration.expected_calibration_error(scipy.special.softmax(logits / t, axis=1), labels)
        for t in (1.0, found)
    )
    assert after < 0.02
    assert true == 1 or after < before / 2


def test_the_error_is_the_gap_between_confidence_and_being_right() -> None:
    probabilities = np.array([[0.9, 0.1]] * 10)
    labels = np.array([0] * 5 + [1] * 5)
    error = calibration.expected_calibration_error(probabilities, labels)
    assert error == pytest.approx(0.4)


@pytest.mark.parametrize("rows", [1, 12, 500])
def test_images_that_are_all_right_make_no_score_surer(rows: int) -> None:
    random = np.random.default_rng(1)
    labels = random.integers(0, 3, rows)
    logits = (np.eye(3)[labels] + random.normal(0, 0.1, (rows, 3))).astype(np.float32)
    assert calibration.temperature(logits, labels) == 1


def test_the_fewer_the_images_the_nearer_the_temperature_is_to_one() -> None:
    random = np.random.default_rng(2)
    honest = random.normal(0, 2, (20_000, 3))
    labels = (
        scipy.special.softmax(honest, axis=1).cumsum(axis=1) > random.random((20_000, 1))
    ).argmax(axis=1)
    logits = (4 * honest).astype(np.float32)
    # The mean over many small draws, as one of them says little.
    few = [
        calibration.temperature(logits[start : start + 10], labels[start : start + 10])
        for start in range(0, 1000, 10)
    ]
    many = calibration.temperature(logits, labels)
    assert 1 < np.mean(few) < many
    assert many == pytest.approx(4, rel=0.05)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("rows", [1, 2, 10, 1000])
def test_a_model_that_is_always_wrong_gets_a_finite_temperature(rows: int, scale: float) -> None:
    labels = np.arange(rows) % 3
    logits = (scale * np.eye(3)[(labels + 1) % 3]).astype(np.float32)
    found = calibration.temperature(logits, labels)
    assert np.isfinite(found)
    assert found > 1
    probabilities = scipy.special.softmax(logits / found, axis=1)
    assert (probabilities > 0).all()


def test_one_error_among_a_dozen_leaves_doubt_in_each_score() -> None:
    labels = np.array([0, 1, 2] * 4)
    logits = np.eye(3, dtype=np.float32)[[*labels[:-1], 0]] * 2
    temperature = calibration.temperature(logits, labels)
    scores = scipy.special.softmax(logits / temperature, axis=1).max(axis=1)
    assert scores.max() < 0.97
