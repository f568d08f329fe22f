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
    """What the Trainer and the Tuner do; it travels as TFX's `custom_config`.

    Attributes:
        recipe: how Transform made the examples.
        trainer: the config's section.
        export: the config's section.
        tuner: the config's section; the Trainer needs none.
        fingerprint: digest of code and options; `custom_config` fills it in.
    """

    recipe: Recipe
    trainer: Trainer
    export: Export
    tuner: Tuner | None = None
    fingerprint: str = ""

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

    Attributes:
        train: globs of the transformed examples to learn from.
        val: globs of those that early stopping watches. The training never sees `test`, on which
            the Evaluator judges.
        scratch: an existing folder for tables of examples.
        logs: where TensorBoard's event files and the contact sheet go.
        checkpoints: folder for the state of trainings under way.
    """

    train: list[str]
    val: list[str]
    scratch: Path
    logs: str
    checkpoints: str


@dataclass(frozen=True)
class Trained:
    """What a training returns.

    Attributes:
        model: float32 embeddings or images to logits.
        sees_pixels: whether it takes images.
        logits: float32 [rows, classes], its answers on the validation split.
        labels: int64 [rows], the classes of the validation split.
        checkpoint: folder of the training's last state, for `resuming.forget` once the model is
            written; None where no state was saved.
    """

    model: keras.Model
    sees_pixels: bool
    logits: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    checkpoint: str | None = None
