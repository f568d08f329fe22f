"""Learning from pixels: a CNN that starts from nothing, or a backbone under a trained head."""

from __future__ import annotations

import functools
import math

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
    image_input,
    optimization,
    preprocessing,
)
from trainer.fitting import fit
from trainer.image_input import ImageTable
from trainer.job import Files, Job, Trained
from trainer.options.training import Trainer

_SHEET_IMAGES = 64


def learn(job: Job, files: Files, head: keras.Model | None) -> Trained:
    """Trains a network from pixels: the backbone under the trained head, or a CNN if that is None.

    Raises:
        ValueError: a worker would get less than one batch.
    """
    train_table = ImageTable(files.train, files.scratch)
    val_table = ImageTable(files.val, files.scratch)
    options, recipe = job.trainer, job.recipe
    weights = optimization.class_weights(options.class_weights, recipe.labels, train_table.labels)
    if head is not None:
        options = options.model_copy(update=options.finetune.model_dump(exclude={"unfreeze"}))
    place = distribution.place()
    with place.strategy.scope(), distribution.precision(options.precision):
        model = network(job, head)
    steps = _steps_per_epoch(len(train_table), options.batch_size, place)
    training = functools.partial(_training_data, job, options, train_table, weights, place)
    _write_contact_sheet(training(0), files.logs)

    validation = functools.partial(
        image_input.batches,
        val_table,
        size=recipe.size,
        crop=recipe.crop,
        batch_size=min(options.batch_size, len(val_table)),
        weights=weights,
    )
    # If one of several workers is lost, all stop and start over together, without a checkpoint.
    checkpoint = _checkpoint(job, files) if place.workers == 1 else None
    fit(
        model,
        training,
        # Each worker reads all of val, as all have to stop after the same epoch.
        distribution.unsharded(validation(drop_remainder=place.several)),
        steps_per_epoch=steps,
        options=options,
        task=options.mode,
        logs=files.logs,
        checkpoint=checkpoint,
    )
    if options.precision != "float32":
        served = network(job, head)  # what is served computes in float32
        served.set_weights(model.get_weights())
        model = served
    score = tf.function(lambda pixels: model(pixels, training=False), autograph=False)
    logits = [score(pixels).numpy() for pixels, _, _ in validation()]
    return Trained(model, True, np.concatenate(logits), val_table.labels, checkpoint)


def network(job: Job, head: keras.Model | None) -> keras.Model:
    """Builds the network to train: the backbone under a copy of the head, or a CNN if None."""
    options, recipe = job.trainer, job.recipe
    if head is None:
        return cnn.build(recipe.size, len(recipe.labels), options.cnn)
    base = backbone(job)
    finetuning.unfreeze(base, options.finetune.unfreeze)
    # A copy, as a strategy takes only variables that were made in its scope.
    return finetuning.join(base, finetuning.copy(head))


def backbone(job: Job) -> keras.Model:
    """Builds the same backbone as Transform, then seeds Keras with the seed of the training."""
    model = preprocessing.backbone(job.recipe)
    keras.utils.set_random_seed(job.trainer.seed)
    return model


def _steps_per_epoch(rows: int, batch_size: int, place: distribution.Place) -> int:
    if not place.several:
        return math.ceil(rows / batch_size)
    share = rows // place.workers
    if share < batch_size:
        raise ValueError(
            f"trainer.batch_size: found {batch_size}; allowed: up to {share}, the training images"
            f" of each of {place.workers} workers"
        )
    return share // batch_size * place.workers


def _training_data(
    job: Job,
    options: Trainer,
    table: ImageTable,
    weights: npt.NDArray[np.float32],
    place: distribution.Place,
    first_epoch: int,
) -> tf.data.Dataset:
    batches = image_input.training_batches(
        table,
        size=job.recipe.size,
        crop=job.recipe.crop,
        area=options.augmentation.crop,
        batch_size=options.batch_size,
        weights=weights,
        augment=augmentation.build(options.augmentation, options.seed),
        seed=options.seed,
        # Shares of workers may differ by a row; the extra epoch keeps each of them supplied.
        epochs=range(first_epoch, options.epochs + (place.workers > 1)),
        drop_remainder=place.several,
        shard=place.shard,
    )
    return distribution.unsharded(batches)


def _write_contact_sheet(batches: tf.data.Dataset, folder: str) -> None:
    pixels, _, _ = next(iter(batches.unbatch().batch(_SHEET_IMAGES)))
    tf.io.gfile.makedirs(folder)
    contact_sheet.write(pixels.numpy(), f"{folder}/{contact_sheet.FILE_NAME}")


def _checkpoint(job: Job, files: Files) -> str:
    """Returns the folder of this training's state, and deletes the folders of other trainings.

    Its name is a digest of the job and its files, so that a changed job never resumes an old state.
    """
    content = {**job.model_dump(mode="json"), "train": files.train, "val": files.val}
    name = fingerprint.digest((), content)
    if tf.io.gfile.exists(files.checkpoints):
        for other in tf.io.gfile.listdir(files.checkpoints):
            if other.rstrip("/") != name:
                tf.io.gfile.rmtree(f"{files.checkpoints}/{other}")
    return f"{files.checkpoints}/{name}"
