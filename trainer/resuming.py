"""Checkpoints from which a training that was killed goes on as if nothing had been.

Keras's BackupAndRestore overwrites its one file in place, so a kill at that moment leaves neither
the old state nor the new one; and it forgets which epoch was the best so far.
"""

from __future__ import annotations

import io
from typing import Any

import keras
import numpy as np
import tensorflow as tf

_FILE = "state.npz"


class EarlyStopping(keras.callbacks.EarlyStopping):
    """Keras's, which here can be told of the epochs before an interruption."""

    restored: dict[str, Any] | None = None

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Starts anew, or where the interrupted training was."""
        super().on_train_begin(logs)
        if self.restored is not None:
            self.monitor_op = keras.ops.less  # else Keras sets it later, and forgets `best`
            for name, value in self.restored.items():
                setattr(self, name, value)


class Checkpoint(keras.callbacks.Callback):
    """Saves the whole state of a training after each epoch, atomically."""

    def __init__(self, folder: str, stopping: EarlyStopping) -> None:
        """Names the place.

        Args:
            folder: where the state lies, local or on any file system that TensorFlow knows.
            stopping: the callback whose state is a part of it.
        """
        super().__init__()
        self._folder = folder
        self._path = f"{folder}/{_FILE}"
        self._stopping = stopping

    def restore(self, model: keras.Model) -> int:
        """Brings back the last state, if there is one.

        Args:
            model: the compiled model, as it was when its training began.

        Returns:
            The epoch to go on with; 0 where there is no state.
        """
        if not tf.io.gfile.exists(self._path):
            return 0
        with tf.io.gfile.GFile(self._path, "rb") as file:
            state = np.load(io.BytesIO(file.read()))
        for number, variable in enumerate(_variables(model)):
            variable.assign(state[f"variable_{number}"])
        best = [state[f"best_{number}"] for number in range(len(model.weights))]
        self._stopping.restored = {
            "best": float(state["best"]),
            "wait": int(state["wait"]),
            "best_epoch": int(state["best_epoch"]),
            "best_weights": best,
        }
        return int(state["epoch"])

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Saves; it must come after early stopping has seen the epoch."""
        stopping = self._stopping
        state = {
            "epoch": epoch + 1,
            "best": stopping.best,
            "wait": stopping.wait,
            "best_epoch": stopping.best_epoch,
            **{f"variable_{n}": v.numpy() for n, v in enumerate(_variables(self.model))},
            **{f"best_{n}": value for n, value in enumerate(stopping.best_weights)},
        }
        content = io.BytesIO()
        np.savez(content, **state)
        tf.io.gfile.makedirs(self._folder)
        with tf.io.gfile.GFile(f"{self._path}.tmp", "wb") as file:
            file.write(content.getvalue())
        tf.io.gfile.rename(f"{self._path}.tmp", self._path, overwrite=True)


def forget(folder: str) -> None:
    """Deletes the state of a training that is over."""
    if tf.io.gfile.exists(folder):
        tf.io.gfile.rmtree(folder)


def _variables(model: keras.Model) -> list[keras.Variable]:
    model.optimizer.build(model.trainable_variables)
    return [*model.variables, *model.optimizer.variables]
