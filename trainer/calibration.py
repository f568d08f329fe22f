"""Calibration: the temperature that calibrates probabilities, and the calibration error."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.optimize
import scipy.special

BINS = 15
# Beyond these bounds, all probabilities are nearly equal or nearly 0 and 1.
_BOUNDS = (0.05, 20.0)


def temperature(logits: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> float:
    """Returns the temperature that calibrates logits of data that the model was not trained on.

    Temperature scaling as in Guo et al., "On Calibration of Modern Neural Networks",
    arXiv:1706.04599, section 4.2: logits are divided by the number that gives the labels the lowest
    negative log-likelihood. The most probable class never changes.

    Args:
        logits: float32 [rows, classes].
        labels: int64 [rows], class ids.

    Returns:
        The temperature, in [0.05, 20]; above 1 if the model is overconfident.
    """
    exact = logits.astype(np.float64)

    def negative_log_likelihood(log_temperature: float) -> float:
        log_probabilities = scipy.special.log_softmax(exact / np.exp(log_temperature), axis=1)
        return -float(log_probabilities[np.arange(len(labels)), labels].mean())

    found = scipy.optimize.minimize_scalar(
        negative_log_likelihood, bounds=np.log(_BOUNDS), method="bounded"
    )
    return float(np.exp(found.x))


def expected_calibration_error(
    probabilities: npt.NDArray[np.float64], labels: npt.NDArray[np.int64]
) -> float:
    """Returns the mean gap between the confidence in the predicted class and the accuracy.

    `probabilities` is float [rows, classes], `labels` holds class ids, int64 [rows].

    Returns:
        The mean over 15 equal bins of |accuracy - confidence|, weighted by rows in each; in
        [0, 1]. arXiv:1706.04599, equation 3.
    """
    confidence = probabilities.max(axis=1)
    gap = (probabilities.argmax(axis=1) == labels) - confidence
    return float(np.abs(np.bincount(bins(confidence), gap, BINS)).sum() / len(labels))


def bins(confidence: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Returns each confidence's bin, from 0, among `BINS` of equal width; the last includes 1."""
    return np.minimum((np.asarray(confidence, np.float64) * BINS).astype(np.int64), BINS - 1)
