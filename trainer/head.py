"""The head: the small classifier that learns on embeddings."""

from __future__ import annotations

import keras
import numpy as np
import numpy.typing as npt

from trainer.options.training import Trainer

# Without a floor, a feature that is 0 in nearly all of train would explode in val.
_VARIANCE_FLOOR = 1e-2
NORMALIZATION_ROWS = 10_000  # a sample; mean and variance settle with far fewer


def build(embeddings: npt.NDArray[np.float32], classes: int, options: Trainer) -> keras.Sequential:
    """Builds an untrained head: float32 [batch, dimension] to logits, float32 [batch, classes].

    It normalizes by the mean and variance of `embeddings`, float32 [rows, dimension] of train.
    """
    layers: list[keras.Layer] = [keras.Input((embeddings.shape[1],), name="embedding")]
    if options.normalize:
        mean, variance = embeddings.mean(axis=0), embeddings.var(axis=0) + _VARIANCE_FLOOR
        layers.append(keras.layers.Normalization(mean=mean, variance=variance, name="normalize"))
    if options.hidden_units is not None:
        layers.append(keras.layers.Dropout(options.dropout, name="dropout_input"))
        layers.append(keras.layers.Dense(options.hidden_units, "relu", name="hidden"))
    layers.append(keras.layers.Dropout(options.dropout, name="dropout"))
    # Float32 at any training precision: the loss needs the digits.
    layers.append(keras.layers.Dense(classes, name="logits", dtype="float32"))
    return keras.Sequential(layers, name="head")
