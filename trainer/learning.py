"""Learning in the mode that the config asks for: from split files to a trained model."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from trainer import (
    augmentation,
    cnn,
    contact_sheet,
    distribution,
    finetuning,
    fingerprint,
    head,
    image_input,
    optimization,
    preprocessing,
)
from trainer.backbones import catalog, registry
from trainer.fitting import fit
from trainer.image_input import ImageTable
from trainer.input import Batches, EmbeddingTable
from trainer.options import FinetuneOptions, FitOptions, pick

_SHEET_IMAGES = 64
CONTACT_SHEET = "augmented.png"


@dataclass(frozen=True)
class Job:
    """What the Trainer and the Tuner are given: TFX's `custom_config`.

    Attributes:
        labels: class names; the index in this list is the class id.
        embedding: the feature that holds embeddings; None where there are none.
        size: side in pixels to which images are scaled.
        crop: see `images.crop_and_resize`.
        backbone: the backbone's name in the registry; None in `scratch`.
        weights: which weights it gets.
        options: the config's `trainer` section.
        export: the config's `export` section.
        fingerprint: digest of code and options; see `fingerprint.digest`.
    """

    labels: tuple[str, ...]
    embedding: str | None
    size: int
    crop: float
    backbone: str | None
    weights: str
    options: Mapping[str, Any]
    export: Mapping[str, Any]
    fingerprint: str

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Job:
        """Reads `custom_config`."""
        job = pick(cls, config)
        return dataclasses.replace(job, labels=tuple(job.labels))

    @property
    def fit(self) -> FitOptions:
        """How to train."""
        return pick(FitOptions, self.options)


@dataclass(frozen=True)
class Files:
    """What a training reads and where it writes.

    Attributes:
        train: globs of the transformed examples to learn from.
        val: globs of those that early stopping watches. The Evaluator judges on `test`, which is
            never seen here.
        scratch: an existing folder for tables of examples.
        logs: where TensorBoard's event files and the contact sheet go.
        checkpoints: folder for the state of trainings under way.
    """

    train: list[str]
    val: list[str]
    scratch: Path
    logs: str
    checkpoints: str


@dataclass(frozen=True)
class Trained:
    """What a training ends with.

    Attributes:
        model: float32 embeddings or images to logits.
        sees_pixels: whether it takes images.
        logits: float32 [rows, classes], what it says of the validation split.
        labels: int64 [rows], the classes of the validation split.
        checkpoint: folder of the state that it can be had again from, for `resuming.forget` once
            the model is written; None where it takes seconds.
    """

    model: keras.Model
    sees_pixels: bool
    logits: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    checkpoint: str | None = None


def check(job: Job) -> None:
    """Refuses what could not be learnt, before anything has run.

    Raises:
        ValueError: a class weight is of no class, the images are too small for the network, or no
            layer of the backbone is called as `trainer.finetune.unfreeze` says.
    """
    _class_weights(job, np.empty(0, np.int64))
    if job.options["mode"] == "scratch":
        # In this scope Keras only notes which variables there would be.
        with keras.StatelessScope():
            _network(job, None)
        return
    assert job.backbone is not None
    named = job.options["finetune"]["unfreeze"] if job.options["mode"] == "finetune" else None
    network = registry.get(job.backbone)
    if job.backbone == catalog.FILE.name:
        if isinstance(named, str):
            finetuning.unfreeze(network.build(job.size, job.weights), named)
    elif isinstance(named, str) or job.size != network.input_size(job.weights):
        with keras.StatelessScope():
            finetuning.unfreeze(network.build(job.size, "none"), named or 0.0)


def learn(job: Job, files: Files) -> Trained:
    """Trains a classifier in the mode that the config asks for.

    Args:
        job: what to do.
        files: what to learn from, and where to write.
    """
    keras.utils.set_random_seed(job.fit.seed)
    if job.options["mode"] == "scratch":
        return _learn_pixels(job, files, None)
    assert job.embedding is not None
    train_table = EmbeddingTable(files.train, job.embedding, files.scratch)
    val_table = EmbeddingTable(files.val, job.embedding, files.scratch)
    weights = _class_weights(job, train_table.labels)
    model = fit_head(train_table, val_table, weights, job, files.logs)
    if job.options["mode"] == "finetune":
        return _learn_pixels(job, files, model)
    batches = Batches(val_table, job.fit.batch_size, None, weights)
    return Trained(model, False, model.predict(batches, verbose=0), val_table.labels)


def fit_head(
    train: EmbeddingTable,
    val: EmbeddingTable,
    weights: npt.NDArray[np.float32],
    job: Job,
    logs: str | None,
) -> keras.Sequential:
    """Trains a head until it stops getting better on `val`.

    Args:
        train: what to learn from.
        val: what early stopping watches.
        weights: float32 [classes], how much a row of each class counts.
        job: the head and how to train it.
        logs: where TensorBoard's event files go; None for nowhere.

    Returns:
        The head with the weights of its best epoch on `val`.
    """
    options = job.fit
    rows = np.random.default_rng(options.seed).permutation(len(train))
    sample = train.read(np.sort(rows[: head.NORMALIZATION_ROWS]))
    model = head.build(sample, len(weights), pick(head.HeadOptions, job.options))
    batches = Batches(train, options.batch_size, options.seed, weights)
    fit(
        model,
        lambda _: batches,
        Batches(val, options.batch_size, None, weights),
        steps_per_epoch=len(batches),
        options=options,
        task="head",
        logs=logs,
    )
    return model


def _learn_pixels(job: Job, files: Files, top: keras.Model | None) -> Trained:
    """Trains a network from pixels: a CNN, or the backbone under the head `top`."""
    train_table = ImageTable(files.train, files.scratch)
    val_table = ImageTable(files.val, files.scratch)
    weights = _class_weights(job, train_table.labels)
    options = job.fit
    if top is not None:
        changes = dataclasses.asdict(pick(FinetuneOptions, job.options["finetune"]))
        del changes["unfreeze"]
        options = dataclasses.replace(options, **changes)
    place = distribution.place()
    with place.strategy.scope(), distribution.precision(job.options["precision"]):
        model = _network(job, top)
    several = place.strategy.num_replicas_in_sync > 1
    if several and len(train_table) // place.workers < options.batch_size:
        raise ValueError(
            f"trainer.batch_size: found {options.batch_size}; allowed: up to"
            f" {len(train_table) // place.workers}, the training images of each of"
            f" {place.workers} workers"
        )
    augment = augmentation.AugmentationOptions.from_config(job.options["augmentation"])

    def training(first_epoch: int) -> tf.data.Dataset:
        batches = image_input.training_batches(
            train_table,
            size=job.size,
            crop=job.crop,
            area=augment.crop,
            batch_size=options.batch_size,
            weights=weights,
            augment=augmentation.build(augment, options.seed),
            seed=options.seed,
            first_epoch=first_epoch,
            # Shares of workers may differ by a row, and none may run dry before the others.
            epochs=options.epochs + (place.workers > 1),
            even=several,
            shard=place.shard,
        )
        return distribution.unsharded(batches)

    # Whole for every worker, as all have to stop after the same epoch.
    val_batches = functools.partial(
        image_input.batches, val_table, size=job.size, crop=job.crop, weights=weights
    )
    val_size = min(options.batch_size, len(val_table))
    validation = distribution.unsharded(val_batches(batch_size=val_size, even=several))
    sheet = next(iter(training(0).unbatch().batch(_SHEET_IMAGES)))[0].numpy()
    tf.io.gfile.makedirs(files.logs)
    contact_sheet.write(sheet, f"{files.logs}/{CONTACT_SHEET}")
    steps = math.ceil(len(train_table) / options.batch_size)
    if several:
        steps = len(train_table) // place.workers // options.batch_size * place.workers
    # A worker that is lost takes the others with it, and they begin anew together.
    checkpoint = _checkpoint(job, files) if place.workers == 1 else None
    fit(
        model,
        training,
        validation,
        steps_per_epoch=steps,
        options=options,
        task=job.options["mode"],
        logs=files.logs,
        checkpoint=checkpoint,
    )
    if job.options["precision"] != "float32":
        served = _network(job, top)  # what is served computes in float32
        served.set_weights(model.get_weights())
        model = served
    score = tf.function(lambda pixels: model(pixels, training=False), autograph=False)
    whole = val_batches(batch_size=val_size)
    logits = np.concatenate([score(pixels).numpy() for pixels, _, _ in whole])
    return Trained(model, True, logits, val_table.labels, checkpoint)


def _network(job: Job, top: keras.Model | None) -> keras.Model:
    if top is None:
        options = cnn.CnnOptions.from_config(job.options["cnn"])
        return cnn.build(job.size, len(job.labels), options)
    base = backbone(job)
    finetuning.unfreeze(base, job.options["finetune"]["unfreeze"])
    # A copy, as a strategy takes only variables that were made in its scope.
    return finetuning.join(base, finetuning.copy(top))


def backbone(job: Job) -> keras.Model:
    """Builds the backbone as Transform did."""
    assert job.backbone is not None
    keras.utils.set_random_seed(preprocessing.BACKBONE_SEED)
    model = registry.get(job.backbone).build(job.size, job.weights)
    keras.utils.set_random_seed(job.fit.seed)
    return model


def _class_weights(job: Job, examples: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    return optimization.class_weights(job.options["class_weights"], job.labels, examples)


def _checkpoint(job: Job, files: Files) -> str:
    """Names the folder of this training's state: another one if anything is changed."""
    name = fingerprint.digest(
        (), {**dataclasses.asdict(job), "train": files.train, "val": files.val}
    )
    # What is left of other trainings will never be gone on with.
    if tf.io.gfile.exists(files.checkpoints):
        for other in tf.io.gfile.listdir(files.checkpoints):
            if other.rstrip("/") != name:
                tf.io.gfile.rmtree(f"{files.checkpoints}/{other}")
    return f"{files.checkpoints}/{name}"
