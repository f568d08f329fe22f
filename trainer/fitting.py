"""The training loop: Keras's, with progress, early failure and resumption after a kill."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from trainer import optimization, progress
from trainer.options.training import Trainer
from trainer.resuming import Checkpoint, EarlyStopping

_LOG_SECONDS = 30.0


class TrainingFailedError(RuntimeError):
    """Training cannot go on; the message says why and what to change."""


class _Watch(keras.callbacks.Callback):
    """Reports progress, and stops a training whose loss is infinite or not a number."""

    def __init__(self, task: str, options: Trainer, steps: int, first_epoch: int) -> None:
        super().__init__()
        self._task = task
        self._options = options
        self._steps = steps
        self._first_epoch = first_epoch
        self._epoch = first_epoch
        self._metrics: dict[str, float] = {}

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        self._began = self._logged = time.monotonic()

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        loss = (logs or {}).get("loss", 0.0)
        if not math.isfinite(loss):
            step = self._epoch * self._steps + batch + 1
            raise TrainingFailedError(
                f"{self._task}: the loss is {loss} at step {step} (epoch {self._epoch + 1}): most"
                f" likely the learning rate of {self._options.learning_rate:g} is too high; lower"
                " learning_rate, raise warmup_epochs or set clip_norm: 1"
            )
        self._tell(batch + 1, {"loss": loss, "accuracy": (logs or {}).get("accuracy", 0.0)})

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._metrics = dict(logs or {})
        self._tell(self._steps, {})

    def _tell(self, batch: int, metrics: dict[str, float]) -> None:
        done = self._epoch * self._steps + batch
        whole = self._options.epochs * self._steps
        now = time.monotonic()
        pace = (now - self._began) / (done - self._first_epoch * self._steps)
        state = progress.Progress(
            task=self._task,
            epoch=self._epoch + 1,
            epochs=self._options.epochs,
            done=done / whole,
            seconds_left=pace * (whole - done),
            metrics={**self._metrics, **metrics},
        )
        progress.tell(state)
        if now - self._logged >= _LOG_SECONDS:
            self._logged = now
            print(state.line(), flush=True)  # the run's log holds what is printed


def fit(
    model: keras.Model,
    data: Callable[[int], Any],
    validation: Any,
    *,
    steps_per_epoch: int,
    options: Trainer,
    task: str,
    logs: str | None = None,
    checkpoint: str | None = None,
) -> None:
    """Trains a model for `options.epochs`, or until its loss on `validation` no longer improves.

    `data` is called with the epoch to start from, and returns batches for `Model.fit`: inputs, soft
    labels and row weights. `validation` holds such batches of the validation split, each once. The
    model returns logits; after the training it has the weights of its best epoch. `task` names the
    training in messages. TensorBoard's event files go to the folder `logs`. An interrupted training
    resumes from the folder `checkpoint`; `resuming.forget` deletes it.

    Raises:
        TrainingFailedError: the loss is no longer a number, or memory is exhausted.
        ValueError: the state in `checkpoint` belongs to another model.
    """
    stopping = EarlyStopping(mode="min", patience=options.patience, restore_best_weights=True)
    callbacks: list[keras.callbacks.Callback] = [stopping]
    first_epoch = 0
    with model.distribute_strategy.scope():
        _compile(model, options, steps_per_epoch)
        if checkpoint is not None:
            state = Checkpoint(checkpoint, stopping)
            first_epoch = state.restore(model)
            callbacks.append(state)
    if first_epoch:
        print(f"{task}: resumes after epoch {first_epoch} of an interrupted training", flush=True)
    callbacks.append(_Watch(task, options, steps_per_epoch, first_epoch))
    if logs is not None:
        callbacks.append(keras.callbacks.TensorBoard(log_dir=logs, write_graph=False))
    try:
        batches = data(first_epoch)
        # Keras asks a PyDataset for its length and tells it when an epoch ends.
        steps = None if isinstance(batches, keras.utils.PyDataset) else steps_per_epoch
        model.fit(
            batches,
            validation_data=validation,
            epochs=options.epochs,
            initial_epoch=first_epoch,
            steps_per_epoch=steps,
            shuffle=False,  # the data is shuffled by the seed
            callbacks=callbacks,
            verbose=2,
        )
    except tf.errors.ResourceExhaustedError as error:
        raise TrainingFailedError(
            f"{task}: out of memory with a batch_size of {options.batch_size}; try"
            f" {max(1, options.batch_size // 2)}, or a smaller image.size"
        ) from error
    finally:
        progress.tell(None)
    if first_epoch >= options.epochs and stopping.restored is not None:
        model.set_weights(stopping.restored["best_weights"])


def _compile(model: keras.Model, options: Trainer, steps_per_epoch: int) -> None:
    model.compile(
        optimizer=optimization.optimizer(options, steps_per_epoch),
        loss=optimization.loss(options),
        metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
        steps_per_execution=_at_once(steps_per_epoch, options.steps_per_execution),
        jit_compile=options.jit_compile,
    )


def _at_once(steps: int, wanted: int) -> int:
    """Returns the largest divisor of `steps` up to `wanted`; else Keras would round epochs up."""
    return max(number for number in range(1, min(steps, wanted) + 1) if steps % number == 0)
