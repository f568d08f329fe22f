"""Checkpoints from which an interrupted training resumes as if nothing had happened.

Keras's BackupAndRestore overwrites its one file in place, so a kill at that moment leaves neither
the old state nor the new one. It also forgets which epoch was the best so far.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

# Attributes of early stopping that are saved beside the best weights, and their types.
_STOPPING = {"best": float, "wait": int, "best_epoch": int}


class EarlyStopping(keras.callbacks.EarlyStopping):
    """Keras's early stopping, which can also resume from its state before an interruption."""

    restored: dict[str, Any] | None = None  # attributes by name, set when training begins

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Resets the state, then sets it to `restored`, unless that is None."""
        super().on_train_begin(logs)
        if self.restored is not None:
            self.monitor_op = keras.ops.less  # else Keras sets it later, and forgets `best`
            for name, value in self.restored.items():
                setattr(self, name, value)


class Checkpoint(keras.callbacks.Callback):
    """Saves the whole state of a training after each epoch, atomically."""

    def __init__(self, folder: str, stopping: EarlyStopping) -> None:
        """Prepares to save the state, with that of `stopping`, on any file system of TensorFlow."""
        super().__init__()
        self._folder = folder
        self._path = f"{folder}/state.npz"
        self._stopping = stopping

    def restore(self, model: keras.Model) -> int:
        """Restores the saved state, if there is one, into a compiled model and early stopping.

        Returns:
            The epoch to resume with, from 0; 0 if there is no state.

        Raises:
            ValueError: the state lacks a variable of the model; the message names it.
        """
        if not tf.io.gfile.exists(self._path):
            return 0
        with tf.io.gfile.GFile(self._path, "rb") as file:
            state = np.load(io.BytesIO(file.read()))
        variables, weights = _variables(model), _named("best", model.weights)
        missing = [name for name in (*variables, *weights) if name not in state]
        if missing:
            raise ValueError(
                f"{self._path}: the state of another model, which lacks {missing[0]}"
                f" ({len(missing)} missing in all); delete the folder to train from the start"
            )
        for name, variable in variables.items():
            variable.assign(state[name])
        self._stopping.restored = {
            **{name: kind(state[name]) for name, kind in _STOPPING.items()},
            "best_weights": [state[name] for name in weights],
        }
        return int(state["epoch"])

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Saves the state; early stopping must come earlier in the list of callbacks."""
        stopping = self._stopping
        best = zip(_named("best", self.model.weights), stopping.best_weights, strict=True)
        state: dict[str, Any] = {
            "epoch": epoch + 1,
            **{name: getattr(stopping, name) for name in _STOPPING},
            **{name: variable.numpy() for name, variable in _variables(self.model).items()},
            **dict(best),
        }
        content = io.BytesIO()
        np.savez(content, **state)
        tf.io.gfile.makedirs(self._folder)
        with tf.io.gfile.GFile(f"{self._path}.tmp", "wb") as file:
            file.write(content.getvalue())
        tf.io.gfile.rename(f"{self._path}.tmp", self._path, overwrite=True)


def forget(folder: str) -> None:
    """Deletes the folder of a checkpoint, if it exists."""
    if tf.io.gfile.exists(folder):
        tf.io.gfile.rmtree(folder)


def _variables(model: keras.Model) -> dict[str, keras.Variable]:
    model.optimizer.build(model.trainable_variables)
    return _named("model", model.variables) | _named("optimizer", model.optimizer.variables)


def _named(prefix: str, variables: Iterable[keras.Variable]) -> dict[str, keras.Variable]:
    """Returns variables by name: the prefix, then their path in Keras.

    Keras numbers the generators of random seeds by what the process made before, so their numbers
    are left out. Variables of the same path are numbered in their order.
    """
    named: dict[str, keras.Variable] = {}
    for variable in variables:
        path = re.sub(r"seed_generator_[0-9]+", "seed_generator", variable.path)
        name = path = f"{prefix}/{path}"
        count = 1
        while name in named:
            count += 1
            name = f"{path}:{count}"
        named[name] = variable
    return named
