"""The Tuner searches what the config says, and finds what is better."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras_tuner
import numpy as np
import pytest

from tests.conftest import Transformed
from tests.trainer.test_learning import Memory, _blobs, _job
from trainer.options.tuning import Search, Tuner
from trainer.tuning import HeadTuner, space, tuner_fn


def test_the_space_holds_what_is_searched() -> None:
    section = Search(
        learning_rate={"min": 1e-4, "max": 1e-2, "scale": "log"},
        weight_decay=None,
        batch_size=[8, 16],
        optimizer=["sgd"],
    )
    parameters = space(section)
    found = {parameter.name: parameter for parameter in parameters.space}
    assert set(found) == {"learning_rate", "dropout", "hidden_units", "batch_size", "optimizer"}
    assert (found["learning_rate"].min_value, found["learning_rate"].sampling) == (1e-4, "log")
    assert found["batch_size"].values == [8, 16]


def test_the_best_trial_beats_one_that_cannot_learn(tmp_path: Path) -> None:
    job = _job(epochs=3)
    parameters = keras_tuner.HyperParameters()
    parameters.Choice("learning_rate", [1e-7, 0.05])
    oracle = keras_tuner.oracles.GridSearchOracle(
        objective=keras_tuner.Objective("val_loss", "min"), hyperparameters=parameters
    )
    learn: Any = _blobs(120, 0)
    val: Any = _blobs(60, 1)
    assert isinstance(learn, Memory)
    tuner = HeadTuner(oracle, job, learn, val, np.ones(3, np.float32), str(tmp_path))
    tuner.search()
    assert tuner.get_best_hyperparameters()[0].get("learning_rate") == 0.05
    assert len(tuner.oracle.trials) == 2


def test_a_trial_takes_as_many_epochs_as_the_tuner_is_given(
    transformed: Transformed, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    job = _job(epochs=30, batch_size=4).model_copy(
        update={"recipe": transformed.recipe, "tuner": Tuner(trials=1, epochs=2)}
    )
    arguments: Any = SimpleNamespace(
        custom_config=job.custom_config(),
        working_dir=str(tmp_path / "tuner"),
        train_files=[transformed.files],
        eval_files=[transformed.files],
    )
    tuner_fn(arguments).tuner.search()
    printed = capfd.readouterr().out
    assert "Epoch 2/2" in printed
    assert "/30" not in printed
