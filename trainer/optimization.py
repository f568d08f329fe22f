"""Losses, class weights, optimizers and learning rates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import keras
import numpy as np
import numpy.typing as npt

from trainer.options.training import Trainer

_MOMENTUM = 0.9


def learning_rate(
    options: Trainer, steps_per_epoch: int
) -> float | keras.optimizers.schedules.LearningRateSchedule:
    """Returns the learning rate of each step: a linear warm-up, then the schedule."""
    rate = options.learning_rate
    warmup = round(options.warmup_epochs * steps_per_epoch)
    steps = max(1, options.epochs * steps_per_epoch - warmup)
    cosine = options.schedule == "cosine"
    schedules = keras.optimizers.schedules
    if not warmup:
        return schedules.CosineDecay(rate, steps) if cosine else rate
    if cosine:
        return schedules.CosineDecay(0.0, steps, warmup_target=rate, warmup_steps=warmup)
    return schedules.PolynomialDecay(rate / warmup, warmup, rate)


def optimizer(options: Trainer, steps_per_epoch: int) -> keras.optimizers.Optimizer:
    """Builds the optimizer with its learning-rate schedule and gradient clipping."""
    rate = learning_rate(options, steps_per_epoch)
    common = {"weight_decay": options.weight_decay or None, "global_clipnorm": options.clip_norm}
    if options.optimizer == "sgd":
        return keras.optimizers.SGD(rate, momentum=_MOMENTUM, **common)
    kinds = {"adam": keras.optimizers.Adam, "rmsprop": keras.optimizers.RMSprop}
    return kinds[options.optimizer](rate, **common)


def loss(options: Trainer) -> keras.losses.Loss:
    """Builds the loss between logits and soft labels, both float [batch, classes].

    The focal loss is that of Lin et al., arXiv:1708.02002, without its class weights;
    `class_weights` takes their place.
    """
    common = {"from_logits": True, "label_smoothing": options.label_smoothing}
    if options.loss == "focal":
        gamma = options.focal_gamma
        return keras.losses.CategoricalFocalCrossentropy(alpha=1.0, gamma=gamma, **common)
    return keras.losses.CategoricalCrossentropy(**common)


def class_weights(
    wanted: str | Mapping[str, float] | None, labels: Sequence[str], examples: npt.NDArray[np.int64]
) -> npt.NDArray[np.float32]:
    """Returns the weight of an example of each class.

    Args:
        wanted: None for equal weights; "balanced" for weights that make all classes count the same
            in total, as scikit-learn's `class_weight`; or weights by class name, 1 for names
            that are missing.
        labels: class names; the index in this list is the class id.
        examples: int64 [rows], the class ids of the training split.

    Returns:
        float32 [classes].

    Raises:
        ValueError: a name is not in the label list.
    """
    if wanted is None:
        return np.ones(len(labels), np.float32)
    if wanted == "balanced":
        counts = np.bincount(examples, minlength=len(labels))
        balanced = len(examples) / (np.count_nonzero(counts) * np.maximum(counts, 1))
        # A class without examples gets 1, as there is nothing to weigh.
        return np.where(counts, balanced, 1.0).astype(np.float32)
    assert not isinstance(wanted, str)
    unknown = sorted(set(wanted) - set(labels))
    if unknown:
        raise ValueError(
            f"trainer.class_weights: {', '.join(unknown)}: no such class;"
            f" allowed: {', '.join(labels)}"
        )
    return np.array([wanted.get(label, 1.0) for label in labels], np.float32)
