"""Bootstrap samples of the test split, from which the catalogue computes the metrics."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from components.evaluator.class_scores import ClassCounts, Floats
from components.evaluator.predictions import Ints, Predicted
from trainer import calibration

Counts = npt.NDArray[np.int64]


class Scored:
    """One model's predictions of labelled images, with values that all bootstrap samples share.

    Attributes:
        labels: int32 [images], true class ids.
        prediction: int32 [images], class ids of the most probable class.
        rank: int32 [images], number of classes that are more probable than the true class.
        correct: bool [images], whether the prediction is the true class.
        bins: int64 [images], the confidence bin of the score; see `trainer.calibration`.
        gap: float64 [images], (1 if the prediction is correct, else 0) - score.
    """

    def __init__(self, labels: Ints, predicted: Predicted) -> None:
        """Computes the attributes; `labels` are the true class ids, int32 [images]."""
        self.labels, self.prediction, self.rank = labels, predicted.prediction, predicted.rank
        self.correct = labels == predicted.prediction
        self.bins = calibration.bins(predicted.score)
        self.gap = self.correct - predicted.score.astype(np.float64)


class Sample:
    """A bootstrap sample: scored images, each counted as often as it was drawn."""

    def __init__(self, scored: Scored, counts: Counts) -> None:
        """`counts` is how often each of the scored images was drawn, int64 [images]."""
        self.scored = scored
        self._counts = counts
        self._images = counts.sum()

    def share(self, chosen: npt.NDArray[np.bool_]) -> float:
        """Returns the share of drawn images for which `chosen`, bool [images], is true."""
        return float((self._counts @ chosen) / self._images)

    @cached_property
    def classes(self) -> ClassCounts:
        """Counts the drawn images by class."""
        scored = self.scored
        number = int(max(scored.labels.max(), scored.prediction.max())) + 1
        return ClassCounts(
            hits=_sums(scored.labels, self._counts * scored.correct, number),
            actual=_sums(scored.labels, self._counts, number),
            predicted=_sums(scored.prediction, self._counts, number),
        )

    def calibration_error(self) -> float:
        """Returns the expected calibration error; see `trainer.calibration`."""
        gaps = _sums(self.scored.bins, self._counts * self.scored.gap, calibration.BINS)
        return float(np.abs(gaps).sum() / self._images)


def _sums(groups: Any, values: Any, number: int) -> Floats:
    """Sums values by group, an index below `number`; returns float64 [number]."""
    sums: npt.NDArray[Any] = np.bincount(groups, values, number)
    return sums
