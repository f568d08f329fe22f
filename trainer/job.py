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
    """What the Trainer and the Tuner do; it travels as TFX's `custom_config`."""

    recipe: Recipe
    trainer: Trainer
    export: Export
    tuner: Tuner | None = None  # the Trainer needs none
    fingerprint: str = ""  # of code and options; `custom_config` fills it in

    def custom_config(self) -> dict[str, Any]:
        """Returns the job as JSON holds it, with its fingerprint.

        The bounds of the EdgeGate stay out: another bound trains nothing anew.
        """
        content = self.model_dump(
            mode="json", exclude={"export": {"min_agreement", "max_accuracy_drop"}}
        )
        # All modules of the package take part in learning.
        return {**content, "fingerprint": fingerprint.digest(("",), content)}

    def changed(self, values: Mapping[str, Any]) -> Job:
        """Returns the job with other values for keys of the section `trainer`."""
        return self.model_copy(update={"trainer": self.trainer.model_copy(update=values)})


@dataclass(frozen=True)
class Files:
    """What a training reads and where it writes.

    It learns from the transformed examples in `train`; early stopping watches those in `val`. It
    never sees `test`, on which the Evaluator judges.
    """

    train: list[str]  # globs
    val: list[str]  # globs
    scratch: Path  # an existing folder for tables of examples
    logs: str  # where TensorBoard's event files and the contact sheet go
    checkpoints: str  # folder for the state of trainings under way


@dataclass(frozen=True)
class Trained:
    """What a training returns.

    The last state of the training lies in the folder `checkpoint`, for `resuming.forget` once the
    model is written; it is None where no state was saved.
    """

    model: keras.Model  # float32 embeddings or images to logits
    sees_pixels: bool  # whether it takes images
    logits: npt.NDArray[np.float32]  # [rows, classes], its answers on the validation split
    labels: npt.NDArray[np.int64]  # [rows], the classes of the validation split
    checkpoint: str | None = None
