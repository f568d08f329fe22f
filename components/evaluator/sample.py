"""What the catalogue computes metrics from: images drawn from the test split, with predictions."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from components.evaluator.predictions import Ints, Predicted
from trainer import calibration

Counts = npt.NDArray[np.int64]


class Scored:
    """One model's predictions of labelled images: what is the same in every sample of them.

    Attributes:
        labels: int32 [images], true class ids.
        predicted: int32 [images], class ids of the most probable class.
        rank: int32 [images], how many classes are more probable than the true one.
        correct: bool [images], whether the prediction is the true class.
        classes: how many class ids there are.
    """

    def __init__(self, labels: Ints, predicted: Predicted) -> None:
        """Keeps them; both are over the same images."""
        self.labels, self.predicted, self.rank = labels, predicted.prediction, predicted.rank
        self.correct = labels == predicted.prediction
        self.classes = int(max(labels.max(), predicted.prediction.max())) + 1
        self._bins = calibration.bins(predicted.score)
        self._gap = self.correct - predicted.score.astype(np.float64)

    def calibration_gaps(self, counts: Counts) -> npt.NDArray[np.float64]:
        """Sums accuracy minus score by confidence bin: float64 [bins]."""
        return _sums(self._bins, counts * self._gap, calibration.BINS)


class Sample:
    """Scored images, each of which counts as often as it was drawn."""

    def __init__(self, scored: Scored, counts: Counts) -> None:
        """Keeps them.

        Args:
            scored: the images.
            counts: int64 [images], how often each was drawn.
        """
        self.scored = scored
        self._counts = counts
        self._images = counts.sum()

    @cached_property
    def hits(self) -> npt.NDArray[np.float64]:
        """Counts the images of each class that are predicted right: float64 [classes]."""
        return self._by_class(self.scored.labels, self._counts * self.scored.correct)

    @cached_property
    def actual(self) -> npt.NDArray[np.float64]:
        """Counts the images of each class: float64 [classes]."""
        return self._by_class(self.scored.labels, self._counts)

    @cached_property
    def predicted(self) -> npt.NDArray[np.float64]:
        """Counts the images that are predicted as each class: float64 [classes]."""
        return self._by_class(self.scored.predicted, self._counts)

    def share(self, chosen: npt.NDArray[np.bool_]) -> float:
        """Returns the share of the drawn images that are chosen: bool [images]."""
        return float((self._counts @ chosen) / self._images)

    def macro(self, part: npt.NDArray[np.float64], whole: npt.NDArray[np.float64]) -> float:
        """Averages a ratio over the classes that occur; 0/0 counts as 0, as in `metrics`."""
        ratio = np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
        return float(ratio[self.actual + self.predicted > 0].mean())

    def calibration_error(self) -> float:
        """Returns the expected calibration error; see `trainer.calibration`."""
        return float(np.abs(self.scored.calibration_gaps(self._counts)).sum() / self._images)

    def _by_class(self, class_ids: Ints, counts: Any) -> npt.NDArray[np.float64]:
        return _sums(class_ids, counts, self.scored.classes)


def _sums(groups: Any, values: Any, number: int) -> npt.NDArray[np.float64]:
    """Sums values by group: float64 [number]."""
    sums: npt.NDArray[Any] = np.bincount(groups, values, number)
    return sums
