"""Calibration: the temperature that calibrates probabilities, and the calibration error."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.optimize
import scipy.special

BINS = 15
# Standard deviation of the prior on the logarithm of the temperature: 95 % of it lies between
# temperatures of 0.38 and 2.7. What that weighs: at a temperature of 1, an image tells as much of
# the logarithm as its logits vary under their own probabilities (its Fisher information, by
# differentiating the log-likelihood twice). On configs/cifar10.yaml that is 1.0 on average, and the
# prior's precision is 4, so the prior weighs as much as 4 images.
_PRIOR_DEVIATION = 0.5


def temperature(logits: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> float:
    """Returns the temperature that calibrates logits of data that the model was not trained on.

    Temperature scaling as in Guo et al., "On Calibration of Modern Neural Networks",
    arXiv:1706.04599, section 4.2: logits are divided by one number, so the most probable class
    never changes. It is the most probable number after the data (maximum a posteriori), where the
    prior is log-normal around 1. A few images so leave it near 1, many decide it alone.

    Without an error in the data, the likelihood only says "the lower, the better", so that the
    temperature is 1: scores do not become surer than the model is by itself.

    Args:
        logits: float32 [rows, classes].
        labels: int64 [rows], class ids.

    Returns:
        The temperature, above 0; above 1 if the model is overconfident.
    """
    exact = logits.astype(np.float64)
    rows = np.arange(len(labels))
    if (exact.argmax(axis=1) == labels).all():
        return 1.0

    def loss(log_temperature: float) -> float:
        log_probabilities = scipy.special.log_softmax(exact / np.exp(log_temperature), axis=1)
        prior = 0.5 * (log_temperature / _PRIOR_DEVIATION) ** 2
        return prior - float(log_probabilities[rows, labels].sum())

    # The prior makes the loss rise on both sides, so the search needs no bounds.
    found = scipy.optimize.minimize_scalar(loss, bracket=(-0.1, 0.1), method="brent")
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
