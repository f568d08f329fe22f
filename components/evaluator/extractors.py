"""TFMA's extractors and two more: one pads probabilities, one saves all predictions.

The model in production lacks classes that were added to the label list after its training. For each
of them a probability of 0 is appended, so that both models have the same number of classes.
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
from trainer.features import FILENAME, IMAGE, PROBABILITIES
from trainer.input import digest


def custom_extractors(**arguments: Any) -> list[tfma.extractors.Extractor]:
    """Returns the extractors that TFX's Evaluator runs; TFX looks for a function of this name."""
    # TFMA evaluates the output of its last own extractor, even if other extractors follow it.
    *first, slice_keys = tfma.default_extractors(**arguments)
    widen = tfma.extractors.Extractor("WidenPredictions", beam.Map(_widen))
    extractors = [*first, widen]
    file = predictions.FILE.get()
    if file is not None:
        extractors.append(tfma.extractors.Extractor("KeepPredictions", _keep(file)))
    return [*extractors, slice_keys]


def _widen(extracts: tfma.types.Extracts) -> tfma.types.Extracts:
    """Pads all probabilities of an example to the number of classes of the larger model.

    Predictions are a dict by model if there are two, and by output if a model has several.
    """
    nested = extracts[tfma.PREDICTIONS_KEY]
    classes = max(one.shape[-1] for one in tf.nest.flatten(nested))

    def widened(probabilities: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return np.pad(probabilities, (0, classes - probabilities.shape[-1]))

    return {**extracts, tfma.PREDICTIONS_KEY: tf.nest.map_structure(widened, nested)}


@beam.ptransform_fn
def _keep(extracts: beam.PCollection, file: str) -> beam.PCollection:
    """Writes a Parquet row for each example, and returns the extracts unchanged."""
    write = beam.io.WriteToParquet(file, predictions.SCHEMA, num_shards=1, shard_name_template="")
    _ = extracts | "Row" >> beam.Map(_row) | "Write" >> write
    return extracts


def _row(extracts: tfma.types.Extracts) -> dict[str, object]:
    progress.count(progress.EVALUATED, 1)
    features, outputs = extracts[tfma.FEATURES_KEY], extracts[tfma.PREDICTIONS_KEY]
    image = np.ravel(features[IMAGE])[0]
    name = np.ravel(features.get(FILENAME, ()))
    # With two models, labels are a dict by model, with the same values for both.
    label = np.int64(np.ravel(tf.nest.flatten(extracts[tfma.LABELS_KEY])[0])[0])
    baseline = None
    if tfma.BASELINE_KEY in outputs:
        outputs, baseline = outputs[tfma.CANDIDATE_KEY], outputs[tfma.BASELINE_KEY]
    return predictions.row(
        digest(image, label),
        int(label),
        _probabilities(outputs),
        None if baseline is None else _probabilities(baseline),
        bytes(name[0]) if name.size else b"",
    )


def _probabilities(outputs: Any) -> npt.NDArray[np.float32]:
    several = isinstance(outputs, dict)
    probabilities: npt.NDArray[np.float32] = outputs[PROBABILITIES] if several else outputs
    return probabilities
