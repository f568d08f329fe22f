"""Learning in the mode that the config asks for: from split files to a trained model."""

from __future__ import annotations

import functools

import keras
import numpy as np
import numpy.typing as npt

from trainer import cnn, finetuning, head, optimization, pixel_learning
from trainer.backbones import catalog, registry
from trainer.fitting import fit
from trainer.input import Batches, EmbeddingTable
from trainer.job import Files, Job, Trained
from trainer.options.cnn import Cnn


def check(job: Job) -> None:
    """Checks that the job can be trained, before anything runs.

    Raises:
        ValueError: a class weight names no class, the images are too small for the network, or no
            layer of the backbone has the name that `trainer.finetune.unfreeze` asks for.
    """
    options, recipe = job.trainer, job.recipe
    optimization.class_weights(options.class_weights, recipe.labels, np.empty(0, np.int64))
    if options.mode == "scratch":
        _check_cnn(recipe.size, len(recipe.labels), options.cnn)
        return
    assert recipe.backbone is not None
    named = options.finetune.unfreeze if options.mode == "finetune" else None
    network = registry.get(recipe.backbone)
    if recipe.backbone == catalog.FILE.name:
        if isinstance(named, str):
            finetuning.unfreeze(network.build(recipe.size, recipe.weights), named)
    elif isinstance(named, str) or recipe.size != network.input_size(recipe.weights):
        _check_backbone(recipe.backbone, recipe.size, named or 0.0)


# Building a network takes a second, and compiling a pipeline asks about the same one ten times.
@functools.cache
def _check_cnn(size: int, classes: int, options: Cnn) -> None:
    with keras.StatelessScope():  # in which Keras allocates no variables
        cnn.build(size, classes, options)


@functools.cache
def _check_backbone(name: str, size: int, top: float | str) -> None:
    with keras.StatelessScope():
        finetuning.unfreeze(registry.get(name).build(size, "none"), top)


def learn(job: Job, files: Files) -> Trained:
    """Trains a classifier in the mode that the config asks for."""
    options = job.trainer
    keras.utils.set_random_seed(options.seed)
    if options.mode == "scratch":
        return pixel_learning.learn(job, files, None)
    embedding = job.recipe.embedding
    train_table = EmbeddingTable(files.train, embedding, files.scratch)
    val_table = EmbeddingTable(files.val, embedding, files.scratch)
    weights = optimization.class_weights(
        options.class_weights, job.recipe.labels, train_table.labels
    )
    model = fit_head(train_table, val_table, weights, job, files.logs)
    if options.mode == "finetune":
        return pixel_learning.learn(job, files, model)
    batches = Batches(val_table, options.batch_size, None, weights)
    return Trained(model, False, model.predict(batches, verbose=0), val_table.labels)


def fit_head(
    train: EmbeddingTable,
    val: EmbeddingTable,
    weights: npt.NDArray[np.float32],
    job: Job,
    logs: str | None,
) -> keras.Sequential:
    """Trains a head until its loss on `val` no longer improves; returns it with its best weights.

    `weights` holds the weight of a row of each class, float32 [classes]. TensorBoard's event files
    go to the folder `logs`; None for no such files.
    """
    options = job.trainer
    rows = np.random.default_rng(options.seed).permutation(len(train))
    sample = train.read(np.sort(rows[: head.NORMALIZATION_ROWS]))
    model = head.build(sample, len(weights), options)
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
