"""Runs the Trainer on a few pictures, and asks what it exported."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import tensorflow as tf

from tests.conftest import Record, Transformed
from trainer import train
from trainer.job import Job
from trainer.options.export import Export
from trainer.options.training import Trainer

_SECTION: dict[str, Any] = {
    "epochs": 1,
    "batch_size": 4,
    "hidden_units": None,
    "cnn": {"blocks": [{"filters": 8, "convolutions": 1}], "dense": []},
    "finetune": {"epochs": 1, "batch_size": 4},
}


def job(transformed: Transformed, **changes: Any) -> dict[str, Any]:
    """What Trainer is given; `changes` are to its recipe or the sections `trainer` and `export`."""
    trainer = {**_SECTION, **changes.pop("trainer", {})}
    export = Export(**changes.pop("export", {}))
    recipe = transformed.recipe.model_copy(update=changes)
    return Job(recipe=recipe, trainer=Trainer(**trainer), export=export).custom_config()


def run(
    transformed: Transformed,
    folder: Path,
    hyperparameters: dict[str, Any] | None = None,
    **changes: Any,
) -> Path:
    """Trains as Trainer does; returns the folder of the exported model."""
    train.run_fn(
        SimpleNamespace(
            custom_config=job(transformed, **changes),
            hyperparameters=hyperparameters,
            train_files=[transformed.files],
            eval_files=[transformed.files],
            transform_output=transformed.graph,
            model_run_dir=str(folder / "trainer/model_run/7"),
            serving_model_dir=str(folder / "model"),
        )  # type: ignore[arg-type]
    )
    return folder / "model"


def served(model: Path, transformed: Transformed, record: Record) -> Iterator[np.ndarray]:
    """Yields what each signature says of every picture: JPEG, PNG, GIF, BMP, grey, RGBA, odd sizes.

    The first is `serving_default`. Each takes seconds to answer for the first time.
    """
    signatures = tf.saved_model.load(str(model)).signatures
    pictures = list(transformed.images.values())
    raw = tf.constant([record(image) for image in pictures])
    by_image = {
        e.features.feature["image/encoded"].bytes_list.value[0]: e for e in transformed.examples
    }
    examples = tf.constant([by_image[image].SerializeToString() for image in pictures])
    yield signatures["serving_default"](image_bytes=tf.constant(pictures))["probabilities"].numpy()
    yield signatures["serving_examples"](examples=raw)["probabilities"].numpy()
    yield signatures["classify"](inputs=raw)["scores"].numpy()
    yield signatures["evaluation"](examples=examples)["probabilities"].numpy()
