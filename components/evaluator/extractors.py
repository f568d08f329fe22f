"""TFMA's extractors, and one that lets models with fewer classes be compared.

A class that was appended to the label list is unknown to the model in production, whose answers
are therefore shorter; it gives such a class a probability of 0.
"""

from __future__ import annotations

from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow_model_analysis as tfma


def custom_extractors(**arguments: Any) -> list[tfma.extractors.Extractor]:
    """Returns the extractors that TFX's Evaluator runs; it looks for a function of this name."""
    # TFMA evaluates what leaves the last of its own extractors, whatever comes behind it.
    *first, slice_keys = tfma.default_extractors(**arguments)
    widen = tfma.extractors.Extractor("WidenPredictions", beam.Map(_widen))
    return [*first, widen, slice_keys]


def _widen(extracts: tfma.types.Extracts) -> tfma.types.Extracts:
    predictions = extracts[tfma.PREDICTIONS_KEY]
    # With one model there is no level of names, and nothing to compare.
    if not isinstance(predictions, dict):
        return extracts
    classes = max(answer.shape[-1] for answer in predictions.values())
    widened = {
        name: np.pad(answer, (0, classes - answer.shape[-1]))
        for name, answer in predictions.items()
    }
    return {**extracts, tfma.PREDICTIONS_KEY: widened}
