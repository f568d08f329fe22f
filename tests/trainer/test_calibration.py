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


def test_perfect_logits_do_not_run_away() -> None:
    logits = np.eye(3, dtype=np.float32)[[0, 1, 2]]
    temperature = calibration.temperature(logits, np.array([0, 1, 2]))
    assert np.isfinite(logits / temperature).all()
    assert np.exp(-1 / temperature) > 0, "no probability may be 0 for good"
