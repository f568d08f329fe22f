"""The training run: the function that TFX's Trainer calls."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import keras
import numpy as np
import tensorflow_transform as tft

from trainer import export, head
from trainer.input import Batches, EmbeddingTable, sample_images

if TYPE_CHECKING:
    from tfx.components.trainer.fn_args_utils import FnArgs

_WARMUP_IMAGES = 8


def run_fn(fn_args: FnArgs) -> None:
    """Trains a head on the embeddings that Transform wrote, and exports the classifier.

    Args:
        fn_args: TFX's arguments. Its `custom_config` holds `labels`, the list of class names;
            `embedding`, the feature that holds embeddings; and `options`, the config's `trainer`
            section.

    Raises:
        ValueError: a split is empty.
    """
    config = fn_args.custom_config
    options = head.HeadOptions.from_config(config["options"])
    keras.utils.set_random_seed(options.seed)
    with tempfile.TemporaryDirectory() as scratch:
        train = EmbeddingTable(fn_args.train_files, config["embedding"], Path(scratch))
        val = EmbeddingTable(fn_args.eval_files, config["embedding"], Path(scratch))
        model = fit(train, val, len(config["labels"]), options, Path(fn_args.model_run_dir))
    export.save(
        head=model,
        transform=tft.TFTransformOutput(fn_args.transform_output),
        labels=tuple(config["labels"]),
        embedding=config["embedding"],
        warmup_images=sample_images(fn_args.eval_files, _WARMUP_IMAGES),
        directory=fn_args.serving_model_dir,
    )


def fit(
    train: EmbeddingTable,
    val: EmbeddingTable,
    classes: int,
    options: head.HeadOptions,
    logs: Path,
) -> keras.Sequential:
    """Trains a head until it stops getting better on `val`.

    Args:
        train: what to learn from.
        val: what early stopping watches. The Evaluator judges on `test`, which is never seen here.
        classes: number of classes.
        options: the head and how to train it.
        logs: where TensorBoard's event files go.

    Returns:
        The head with the weights of its best epoch on `val`.
    """
    rows = np.random.default_rng(options.seed).permutation(len(train))
    model = head.build(train.read(np.sort(rows[: head.NORMALIZATION_ROWS])), classes, options)
    batches = Batches(train, options.batch_size, options.seed)
    model.compile(
        optimizer=head.optimizer(options, steps=options.epochs * len(batches)),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
    )
    model.fit(
        batches,
        validation_data=Batches(val, options.batch_size, seed=None),
        epochs=options.epochs,
        shuffle=False,  # Batches does it, by the seed
        callbacks=[
            keras.callbacks.EarlyStopping(
                monitor="val_loss", patience=options.patience, restore_best_weights=True
            ),
            keras.callbacks.TensorBoard(log_dir=str(logs), write_graph=False),
        ],
        verbose=2,
    )
    return model
