"""What a training is given and what it returns, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from trainer import fingerprint
from trainer.options.export import Export
from trainer.options.training import Trainer
from trainer.options.tuning import Tuner
from trainer.preprocessing import Recipe
from trainer.section import Section


class Job(Section):
    """All options of the Trainer and the Tuner; they receive it as TFX's `custom_config`."""

    recipe: Recipe
    trainer: Trainer
    export: Export
    tuner: Tuner | None = None  # None for the Trainer
    fingerprint: str = ""  # of code and options; `custom_config` fills it in

    def custom_config(self) -> dict[str, Any]:
        """Returns the job as values that JSON can hold, with its fingerprint.

        The EdgeGate's bounds are left out, so that a changed bound does not cause a new training.
        """
        content = self.model_dump(
            mode="json", exclude={"export": {"min_agreement", "max_accuracy_drop"}}
        )
        # All modules of the package take part in learning.
        return {**content, "fingerprint": fingerprint.digest(("",), content)}

    def changed(self, values: Mapping[str, Any]) -> Job:
        """Returns a copy of the job with new values, by name, for fields of its `trainer`."""
        return self.model_copy(update={"trainer": self.trainer.model_copy(update=values)})


@dataclass(frozen=True)
class Files:
    """The files that a training reads and the folders to which it writes.

    It learns from the transformed examples in `train`; early stopping watches those in `val`. It
    never reads `test`, on which the Evaluator measures the model.
    """

    train: list[str]  # globs
    val: list[str]  # globs
    scratch: Path  # an existing folder for tables of examples
    logs: str  # where TensorBoard's event files and the contact sheet go
    checkpoints: str  # folder for the state of running trainings


@dataclass(frozen=True)
class Trained:
    """A trained model and its logits on the validation split.

    `checkpoint` is the folder of the training's last state, which `resuming.forget` deletes once
    the model is written; None if no state was saved.
    """

    model: keras.Model  # float32 embeddings or images to logits
    sees_pixels: bool  # whether the model takes images, not embeddings
    logits: npt.NDArray[np.float32]  # [rows, classes], of the validation split
    labels: npt.NDArray[np.int64]  # [rows], the classes of the validation split
    checkpoint: str | None = None
