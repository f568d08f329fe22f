"""The training run: the function that TFX's Trainer calls."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import keras
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from trainer import (
    calibration,
    distribution,
    edge,
    export,
    familiarity,
    finetuning,
    learning,
    pixel_learning,
    resuming,
    scoring,
)
from trainer.input import sample_examples, sample_images
from trainer.job import Files, Job, Trained

if TYPE_CHECKING:
    from tfx.components.trainer.fn_args_utils import FnArgs

_WARMUP_IMAGES = 8
_EMBEDDED_ROWS = 10_000
_SEEN_ROWS = 2_000
SUMMARY = "training.json"


def run_fn(fn_args: FnArgs) -> None:
    """Trains a classifier in the mode that the config asks for, and exports it.

    TFX's `custom_config` is a `Job`. The Tuner's `hyperparameters`, if there are any, replace
    fields of the section `trainer`.

    Raises:
        ValueError: a split is empty, or options do not fit the data.
        fitting.TrainingFailedError: the loss is no longer a number, or memory is exhausted.
    """
    place = distribution.place()  # must come before TensorFlow does anything
    job = Job.model_validate(fn_args.custom_config)
    if fn_args.hyperparameters:
        job = job.changed(fn_args.hyperparameters["values"])
    logs = str(fn_args.model_run_dir)
    with tempfile.TemporaryDirectory() as scratch:
        files = Files(
            train=fn_args.train_files,
            val=fn_args.eval_files,
            scratch=Path(scratch),
            logs=logs,
            checkpoints=_checkpoints(logs),
        )
        trained = learning.learn(job, files)
    if place.index:
        return  # all workers have the same model, and the first one exports it
    answers = trained.logits, trained.labels
    temperature = calibration.temperature(*answers) if job.trainer.calibrate else 1.0
    if job.trainer.calibrate:
        print(_told(trained, temperature), flush=True)
    _write_summary(trained, temperature, f"{logs}/{SUMMARY}")
    scorer = _scorer(job, trained, fn_args.transform_output)
    export.save(
        scorer=scorer,
        familiar=_familiar(scorer, trained, fn_args),
        temperature=temperature,
        labels=job.recipe.labels,
        warmup_images=sample_images(fn_args.eval_files, _WARMUP_IMAGES),
        directory=fn_args.serving_model_dir,
    )
    if job.export.tflite != "none":
        _export_to_edge(job, trained, temperature, fn_args)
    if trained.checkpoint is not None:
        resuming.forget(trained.checkpoint)


def _told(trained: Trained, temperature: float) -> str:
    """Returns the log's line on calibration: the temperature, and how much of val it rests on."""
    images = len(trained.labels)
    wrong = int((trained.logits.argmax(axis=1) != trained.labels).sum())
    told = f"calibration: a temperature of {temperature:.3g} from {images} images of val, {wrong}"
    return f"{told} of them wrong{'' if wrong else ', so it stays 1: none shows how much to trust'}"


def _checkpoints(run: str) -> str:
    """Returns the folder of checkpoints, which all executions share.

    The folder `run` is `{component}/{output}/{execution}`, as TFX names outputs. A run that resumes
    an interrupted training is another execution.
    """
    return f"{run.rstrip('/').rsplit('/', 2)[0]}/checkpoints"


def _scorer(job: Job, trained: Trained, transform_graph: str) -> scoring.Scorer:
    recipe = job.recipe
    if trained.sees_pixels:
        return scoring.PixelScorer(trained.model, recipe.size, recipe.crop, recipe.max_pixels)
    return scoring.EmbeddingScorer(
        trained.model, tft.TFTransformOutput(transform_graph), recipe.embedding
    )


def _familiar(scorer: scoring.Scorer, trained: Trained, fn_args: FnArgs) -> familiarity.Familiarity:
    """Learns what is familiar from a sample of train and val."""
    # Embeddings that lie in the examples cost nothing; others take a look at each image.
    rows = _SEEN_ROWS if trained.sees_pixels else _EMBEDDED_ROWS
    train, labels = scoring.embeddings(scorer, sample_examples(fn_args.train_files, rows))
    val, _ = scoring.embeddings(scorer, sample_examples(fn_args.eval_files, rows))
    return familiarity.fit(train, labels, val)


def _export_to_edge(job: Job, trained: Trained, temperature: float, fn_args: FnArgs) -> None:
    model = trained.model
    if not trained.sees_pixels:
        model = finetuning.join(pixel_learning.backbone(job), model)
    edge.save(
        model,
        temperature=temperature,
        labels=job.recipe.labels,
        kind=job.export.tflite,
        sample=sample_images(fn_args.train_files, job.export.calibration_images),
        float_share=job.export.float_share,
        crop=job.recipe.crop,
        directory=fn_args.serving_model_dir,
    )


def _write_summary(trained: Trained, temperature: float, path: str) -> None:
    """Writes the temperature, and accuracy and calibration error on `val`, as JSON."""
    logits, labels = trained.logits, trained.labels

    def error(divisor: float) -> float:
        probabilities = np.asarray(keras.ops.softmax(logits / divisor))
        return calibration.expected_calibration_error(probabilities, labels)

    summary = {
        "temperature": temperature,
        "val": {
            "images": len(labels),
            "accuracy": float((logits.argmax(axis=1) == labels).mean()),
            "expected_calibration_error_uncalibrated": error(1.0),
            "expected_calibration_error": error(temperature),
        },
    }
    tf.io.gfile.makedirs(path.rpartition("/")[0])
    with tf.io.gfile.GFile(path, "w") as file:
        file.write(json.dumps(summary, indent=1))
