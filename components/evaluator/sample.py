"""Images drawn from the test split, with a model's predictions; the catalogue measures them."""

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
    """One model's predictions of labelled images, with what is the same in every sample of them.

    Attributes:
        labels: int32 [images], true class ids.
        prediction: int32 [images], class ids of the most probable class.
        rank: int32 [images], how many classes are more probable than the true one.
        correct: bool [images], whether the prediction is the true class.
        bins: int64 [images], the confidence bin of the score; see `trainer.calibration`.
        gap: float64 [images], 1 for a correct prediction and else 0, less the score.
    """

    def __init__(self, labels: Ints, predicted: Predicted) -> None:
        """Takes the true class ids, int32 [images], and a model's predictions of these images."""
        self.labels, self.prediction, self.rank = labels, predicted.prediction, predicted.rank
        self.correct = labels == predicted.prediction
        self.bins = calibration.bins(predicted.score)
        self.gap = self.correct - predicted.score.astype(np.float64)


class Sample:
    """Scored images, each of which counts as often as it was drawn."""

    def __init__(self, scored: Scored, counts: Counts) -> None:
        """Takes the images, and how often each was drawn: int64 [images]."""
        self.scored = scored
        self._counts = counts
        self._images = counts.sum()

    def share(self, chosen: npt.NDArray[np.bool_]) -> float:
        """Returns the share of the drawn images that are chosen: bool [images]."""
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
    """Sums values by group: float64 [number]."""
    sums: npt.NDArray[Any] = np.bincount(groups, values, number)
    return sums
