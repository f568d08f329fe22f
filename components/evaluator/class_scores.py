"""Precision, recall and F1 by class, from counts; TFMA metrics and bootstrap share this code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
SCORES = PRECISION, RECALL, F1 = ("precision", "recall", "f1")


@dataclass(frozen=True)
class ClassCounts:
    """Counts of images by class; all arrays are float64 [classes].

    Attributes:
        hits: images of the class that are predicted as this class.
        actual: images of the class.
        predicted: images of any class that are predicted as this class.
    """

    hits: Floats
    actual: Floats
    predicted: Floats

    @classmethod
    def of_matrix(cls, matrix: Floats) -> ClassCounts:
        """Sums up a confusion matrix [true class, predicted class]."""
        return cls(np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0))

    @cached_property
    def scores(self) -> Mapping[str, Floats]:
        """Returns each score as float64 [classes].

        A ratio of 0/0 counts as 0, as in scikit-learn's
        `precision_recall_fscore_support(zero_division=0)`.
        """
        return {
            PRECISION: _ratio(self.hits, self.predicted),
            RECALL: _ratio(self.hits, self.actual),
            F1: _ratio(2 * self.hits, self.actual + self.predicted),
        }

    @property
    def occurring(self) -> npt.NDArray[np.int64]:
        """Returns the ids of the classes that are true or predicted for at least one image."""
        return np.flatnonzero(self.actual + self.predicted)

    def macro(self, score: str) -> float:
        """Returns the mean of a score over the occurring classes; `score` is one of `SCORES`."""
        return float(self.scores[score][self.occurring].mean())


def _ratio(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0)
