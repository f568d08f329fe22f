"""TFMA's extractors and two more: one lets smaller models be compared, one keeps all answers.

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

from components.evaluator import predictions
from trainer import progress
from trainer.features import IMAGE, PROBABILITIES
from trainer.input import digest


def custom_extractors(**arguments: Any) -> list[tfma.extractors.Extractor]:
    """Returns the extractors that TFX's Evaluator runs; it looks for a function of this name."""
    # TFMA evaluates what leaves the last of its own extractors, whatever comes behind it.
    *first, slice_keys = tfma.default_extractors(**arguments)
    widen = tfma.extractors.Extractor("WidenPredictions", beam.Map(_widen))
    extractors = [*first, widen]
    file = predictions.FILE.get()
    if file is not None:
        extractors.append(tfma.extractors.Extractor("KeepPredictions", _Keep(file)))
    return [*extractors, slice_keys]


def _widen(extracts: tfma.types.Extracts) -> tfma.types.Extracts:
    """Gives all answers to an example as many classes as the longest has.

    Answers lie by model, where there are two, and by output, where a model has several.
    """
    answers = extracts[tfma.PREDICTIONS_KEY]
    classes = max(answer.shape[-1] for answer in tf.nest.flatten(answers))

    def widened(answer: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return np.pad(answer, (0, classes - answer.shape[-1]))

    return {**extracts, tfma.PREDICTIONS_KEY: tf.nest.map_structure(widened, answers)}


class _Keep(beam.PTransform):
    """Writes a row for each example, and lets the extracts pass as they are."""

    def __init__(self, file: str) -> None:
        super().__init__()
        self._file = file

    def expand(self, extracts: beam.PCollection) -> beam.PCollection:
        (
            extracts
            | "Row" >> beam.Map(_row)
            | "Write"
            >> beam.io.WriteToParquet(
                self._file, predictions.SCHEMA, num_shards=1, shard_name_template=""
            )
        )
        return extracts


def _row(extracts: tfma.types.Extracts) -> dict[str, object]:
    progress.count(progress.EVALUATED, 1)
    features, answers = extracts[tfma.FEATURES_KEY], extracts[tfma.PREDICTIONS_KEY]
    image = np.ravel(features[IMAGE])[0]
    # Labels lie by model, where there are two, and both have the same.
    label = np.int64(np.ravel(tf.nest.flatten(extracts[tfma.LABELS_KEY])[0])[0])
    baseline = None
    if tfma.BASELINE_KEY in answers:
        answers, baseline = answers[tfma.CANDIDATE_KEY], answers[tfma.BASELINE_KEY]
    return predictions.row(
        digest(image, label),
        int(label),
        _probabilities(answers),
        None if baseline is None else _probabilities(baseline),
    )


def _probabilities(answer: Any) -> npt.NDArray[np.float32]:
    several = isinstance(answer, dict)
    probabilities: npt.NDArray[np.float32] = answer[PROBABILITIES] if several else answer
    return probabilities
