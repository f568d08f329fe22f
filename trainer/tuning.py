"""The search for hyperparameters: the function that TFX's Tuner calls."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import keras_tuner
import numpy as np
import numpy.typing as npt

from trainer import optimization
from trainer.fitting import TrainingFailedError
from trainer.input import EmbeddingTable
from trainer.learning import Job, fit_head

if TYPE_CHECKING:
    from tfx.components.trainer.fn_args_utils import FnArgs
    from tfx.components.tuner.component import TunerFnResult

# What a trial is rated by that failed, as a learning rate far too high makes it.
_FAILED = {"val_loss": 1e9, "val_accuracy": 0.0}


class HeadTuner(keras_tuner.Tuner):
    """Trains a head for each trial."""

    def __init__(
        self,
        oracle: keras_tuner.Oracle,
        job: Job,
        train: EmbeddingTable,
        val: EmbeddingTable,
        weights: npt.NDArray[np.float32],
        directory: str,
    ) -> None:
        """Takes what trials have in common.

        Args:
            oracle: draws hyperparameters.
            job: the head and how to train it, but for what is searched.
            train: what to learn from.
            val: what trials are rated on.
            weights: float32 [classes], how much a row of each class counts.
            directory: where KerasTuner keeps its books.
        """
        super().__init__(oracle, directory=directory, project_name="tuner", overwrite=True)
        self._job = job
        self._train = train
        self._val = val
        self._weights = weights

    def run_trial(self, trial: Any, *args: Any, **options: Any) -> dict[str, float]:
        """Trains one head.

        Returns:
            The loss and the accuracy on `val` in the epoch with the lowest loss.
        """
        changed = {**self._job.options, **trial.hyperparameters.values}
        job = dataclasses.replace(self._job, options=changed)
        keras.utils.set_random_seed(job.fit.seed)
        try:
            model = fit_head(self._train, self._val, self._weights, job, None)
        except TrainingFailedError as error:
            print(f"trial {trial.trial_id}: {error}", flush=True)
            return dict(_FAILED)
        finally:
            keras.backend.clear_session()
        history = model.history.history
        best = int(np.argmin(history["val_loss"]))
        return {name: history[name][best] for name in _FAILED}

    def load_model(self, trial: Any) -> Any:
        """Refuses: the Trainer trains the best head anew, and no trial's is kept."""
        raise RuntimeError(f"the head of trial {trial.trial_id} was not kept")


def space(search: Mapping[str, Any]) -> keras_tuner.HyperParameters:
    """Builds KerasTuner's search space.

    Args:
        search: the config's section `tuner.search`: by key of the section `trainer`, a mapping of
            `min`, `max` and `scale`, or a list of values; None is not searched.
    """
    parameters = keras_tuner.HyperParameters()
    for name, wanted in search.items():
        if isinstance(wanted, Mapping):
            parameters.Float(name, wanted["min"], wanted["max"], sampling=wanted["scale"])
        elif wanted is not None:
            parameters.Choice(name, list(wanted))
    return parameters


def tuner_fn(fn_args: FnArgs) -> TunerFnResult:
    """Prepares the search.

    Args:
        fn_args: TFX's arguments. Its `custom_config` holds the fields of a `Job`, and the config's
            section `tuner`.
    """
    from tfx.components.tuner.component import TunerFnResult  # heavy, and only the Tuner needs it

    job = Job.from_config(fn_args.custom_config)
    section = fn_args.custom_config["tuner"]
    epochs = min(section["epochs"], job.fit.epochs)
    job = dataclasses.replace(job, options={**job.options, "epochs": epochs})
    assert job.embedding is not None
    folder = Path(fn_args.working_dir)
    folder.mkdir(parents=True, exist_ok=True)
    train = EmbeddingTable(fn_args.train_files, job.embedding, folder)
    val = EmbeddingTable(fn_args.eval_files, job.embedding, folder)
    weights = optimization.class_weights(job.options["class_weights"], job.labels, train.labels)
    oracles = {
        "random": keras_tuner.oracles.RandomSearchOracle,
        "bayesian": keras_tuner.oracles.BayesianOptimizationOracle,
    }
    direction = "max" if section["objective"] == "val_accuracy" else "min"
    oracle = oracles[section["algorithm"]](
        objective=keras_tuner.Objective(section["objective"], direction),
        max_trials=section["trials"],
        seed=job.fit.seed,
        hyperparameters=space(section["search"]),
    )
    tuner = HeadTuner(oracle, job, train, val, weights, fn_args.working_dir)
    return TunerFnResult(tuner=tuner, fit_kwargs={})
