"""The head: the small classifier that learns on frozen embeddings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

_MOMENTUM = 0.9
# An activation that is 0 for nearly all of train would otherwise be blown up in val.
_VARIANCE_FLOOR = 1e-2
NORMALIZATION_ROWS = 10_000  # a sample: mean and variance settle long before


@dataclass(frozen=True)
class HeadOptions:
    """The config's `trainer` section, as the Trainer receives it; see `pipeline.config`."""

    epochs: int
    batch_size: int
    optimizer: str
    learning_rate: float
    schedule: str
    hidden_units: int | None
    dropout: float
    normalize: bool
    weight_decay: float
    patience: int
    seed: int

    @classmethod
    def from_config(cls, section: Mapping[str, Any]) -> HeadOptions:
        """Picks this class's fields out of the section."""
        return cls(**{field.name: section[field.name] for field in fields(cls)})


def build(
    embeddings: npt.NDArray[np.float32], classes: int, options: HeadOptions
) -> keras.Sequential:
    """Builds an untrained head.

    Args:
        embeddings: float32 [rows, dimension] of the training split, which set the normalisation.
        classes: number of classes.
        options: its shape.

    Returns:
        A model from float32 [batch, dimension] to logits, float32 [batch, classes].
    """
    layers: list[keras.Layer] = [keras.Input((embeddings.shape[1],), name="embedding")]
    if options.normalize:
        mean, variance = embeddings.mean(axis=0), embeddings.var(axis=0) + _VARIANCE_FLOOR
        layers.append(keras.layers.Normalization(mean=mean, variance=variance, name="normalize"))
    if options.hidden_units is not None:
        layers.append(keras.layers.Dropout(options.dropout, name="dropout_input"))
        layers.append(keras.layers.Dense(options.hidden_units, "relu", name="hidden"))
    layers.append(keras.layers.Dropout(options.dropout, name="dropout"))
    layers.append(keras.layers.Dense(classes, name="logits"))
    return keras.Sequential(layers, name="head")


def optimizer(options: HeadOptions, steps: int) -> keras.optimizers.Optimizer:
    """Builds the optimizer with its learning-rate schedule over `steps` training steps."""
    rate: float | keras.optimizers.schedules.LearningRateSchedule = options.learning_rate
    if options.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(options.learning_rate, steps)
    decay = options.weight_decay or None
    if options.optimizer == "sgd":
        return keras.optimizers.SGD(rate, momentum=_MOMENTUM, weight_decay=decay)
    kinds = {"adam": keras.optimizers.Adam, "rmsprop": keras.optimizers.RMSprop}
    return kinds[options.optimizer](rate, weight_decay=decay)
