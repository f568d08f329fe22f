"""Precision, recall and F1 by class, from counts; TFMA metrics and bootstrap share this code."""

from __future__ import annotations

import math
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

        NaN stands for what is not defined: every score of a class without images, and the
        precision of a class that is never predicted. F1 is 2 hits / (actual + predicted), so it is
        0 for a class with images that is never predicted.
        """
        there = self.actual > 0
        return {
            PRECISION: _ratio(self.hits, self.predicted, there),
            RECALL: _ratio(self.hits, self.actual, there),
            F1: _ratio(2 * self.hits, self.actual + self.predicted, there),
        }

    def macro(self, score: str) -> float:
        """Returns the mean of a score over the classes for which it is defined; NaN without any.

        `score` is one of `SCORES`. The macro recall is scikit-learn's `balanced_accuracy_score`.
        """
        values = self.scores[score]
        defined = np.isfinite(values)
        return float(values[defined].mean()) if defined.any() else math.nan


def _ratio(part: Floats, whole: Floats, there: npt.NDArray[np.bool_]) -> Floats:
    ratio: Floats = np.divide(
        part, whole, out=np.full(len(part), np.nan), where=(whole > 0) & there
    )
    return ratio
