"""TFMA's extractors, and one that lets models with fewer classes be compared.

A class that was appended to the label list is unknown to the model in production, whose answers
are therefore shorter; it gives such a class a probability of 0.
"""

from __future__ import annotations

from typing import Any

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tensorflow_model_analysis as tfma


def custom_extractors(**arguments: Any) -> list[tfma.extractors.Extractor]:
    """Returns the extractors that TFX's Evaluator runs; it looks for a function of this name."""
    # TFMA evaluates what leaves the last of its own extractors, whatever comes behind it.
    *first, slice_keys = tfma.default_extractors(**arguments)
    widen = tfma.extractors.Extractor("WidenPredictions", beam.Map(_widen))
    return [*first, widen, slice_keys]


def _widen(extracts: tfma.types.Extracts) -> tfma.types.Extracts:
    """Gives all answers to an example as many classes as the longest has.

    Answers lie by model, where there are two, and by output, where a model has several.
    """
    answers = extracts[tfma.PREDICTIONS_KEY]
    classes = max(answer.shape[-1] for answer in tf.nest.flatten(answers))

    def widened(answer: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return np.pad(answer, (0, classes - answer.shape[-1]))

    return {**extracts, tfma.PREDICTIONS_KEY: tf.nest.map_structure(widened, answers)}
