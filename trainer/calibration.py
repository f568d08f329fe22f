"""Makes probabilities mean what they say: temperature scaling, and how far they are off."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.optimize
import scipy.special

BINS = 15
# Beyond these, probabilities are all alike or all 0 and 1; no sound model needs more.
_BOUNDS = (0.05, 20.0)


def temperature(logits: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> float:
    """Finds the temperature by which logits are to be divided, on data not trained on.

    Temperature scaling as in Guo et al., "On Calibration of Modern Neural Networks",
    arXiv:1706.04599, section 4.2: the one number that makes the labels most likely. It never
    changes which class is the most probable.

    Args:
        logits: float32 [rows, classes].
        labels: int64 [rows], class ids.

    Returns:
        The temperature, in [0.05, 20]; above 1 where the model is too sure of itself.
    """
    exact = logits.astype(np.float64)

    def surprise(log_temperature: float) -> float:
        log_probabilities = scipy.special.log_softmax(exact / np.exp(log_temperature), axis=1)
        return -float(log_probabilities[np.arange(len(labels)), labels].mean())

    found = scipy.optimize.minimize_scalar(surprise, bounds=np.log(_BOUNDS), method="bounded")
    return float(np.exp(found.x))


def expected_calibration_error(
    probabilities: npt.NDArray[np.float64], labels: npt.NDArray[np.int64]
) -> float:
    """Measures how far the confidence in the predicted class is from being right, on average.

    Args:
        probabilities: float [rows, classes].
        labels: int64 [rows], class ids.

    Returns:
        The mean over 15 equal bins of |accuracy - confidence|, weighted by the bins' rows; in
        [0, 1]. arXiv:1706.04599, equation 3.
    """
    confidence = probabilities.max(axis=1)
    gap = (probabilities.argmax(axis=1) == labels) - confidence
    return float(np.abs(np.bincount(bins(confidence), gap, BINS)).sum() / len(labels))


def bins(confidence: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Returns the bin of each confidence, one of `BINS` equal ones; the last holds 1 too."""
    return np.minimum((np.asarray(confidence, np.float64) * BINS).astype(np.int64), BINS - 1)
