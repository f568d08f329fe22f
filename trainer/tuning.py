"""The search for hyperparameters: the function that TFX's Tuner calls."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import keras_tuner
import numpy as np
import numpy.typing as npt

from trainer import optimization
from trainer.fitting import TrainingFailedError
from trainer.input import EmbeddingTable
from trainer.job import Job
from trainer.learning import fit_head
from trainer.options.tuning import Range, Search

if TYPE_CHECKING:
    from tfx.components.trainer.fn_args_utils import FnArgs
    from tfx.components.tuner.component import TunerFnResult

# The metrics of a failed trial; a learning rate that is far too high makes one fail.
_FAILED = {"val_loss": 1e9, "val_accuracy": 0.0}


class HeadTuner(keras_tuner.Tuner):
    """KerasTuner's tuner with trials that each train a head."""

    def __init__(
        self,
        oracle: keras_tuner.Oracle,
        job: Job,
        train: EmbeddingTable,
        val: EmbeddingTable,
        weights: npt.NDArray[np.float32],
        directory: str,
    ) -> None:
        """Keeps what all trials share; KerasTuner writes its records to `directory`.

        The oracle draws hyperparameters, which replace the job's. Trials learn from `train` and
        are rated on `val`; `weights` holds the weight of a row of each class, float32 [classes].
        """
        super().__init__(oracle, directory=directory, project_name="tuner", overwrite=True)
        self._job = job
        self._data = (train, val, weights)

    def run_trial(self, trial: Any, *args: Any, **options: Any) -> dict[str, float]:
        """Trains a head; returns loss and accuracy on `val` in the epoch with the lowest loss."""
        job = self._job.changed(trial.hyperparameters.values)
        keras.utils.set_random_seed(job.trainer.seed)
        try:
            model = fit_head(*self._data, job, None)
        except TrainingFailedError as error:
            print(f"trial {trial.trial_id}: {error}", flush=True)
            return dict(_FAILED)
        finally:
            keras.backend.clear_session()
        history = model.history.history
        best = int(np.argmin(history["val_loss"]))
        return {name: history[name][best] for name in _FAILED}

    def load_model(self, trial: Any) -> Any:
        """Raises RuntimeError: no head is kept, as the Trainer trains the best one anew."""
        raise RuntimeError(f"the head of trial {trial.trial_id} was not kept")


def space(search: Search) -> keras_tuner.HyperParameters:
    """Returns KerasTuner's search space; a field of `search` that is None is not searched."""
    parameters = keras_tuner.HyperParameters()
    for name, wanted in search:
        if isinstance(wanted, Range):
            parameters.Float(name, wanted.min, wanted.max, sampling=wanted.scale)
        elif wanted is not None:
            parameters.Choice(name, list(wanted))
    return parameters


def tuner_fn(fn_args: FnArgs) -> TunerFnResult:
    """Prepares the search; TFX's `custom_config` is a `Job` with the section `tuner`."""
    from tfx.components.tuner.component import TunerFnResult  # heavy, and only the Tuner needs it

    job = Job.model_validate(fn_args.custom_config)
    section = job.tuner
    assert section is not None
    job = job.changed({"epochs": min(section.epochs, job.trainer.epochs)})
    folder = Path(fn_args.working_dir)
    folder.mkdir(parents=True, exist_ok=True)
    train, val = (
        EmbeddingTable(files, job.recipe.embedding, folder)
        for files in (fn_args.train_files, fn_args.eval_files)
    )
    weights = optimization.class_weights(job.trainer.class_weights, job.recipe.labels, train.labels)
    oracles = {
        "random": keras_tuner.oracles.RandomSearchOracle,
        "bayesian": keras_tuner.oracles.BayesianOptimizationOracle,
    }
    direction = "max" if section.objective == "val_accuracy" else "min"
    oracle = oracles[section.algorithm](
        objective=keras_tuner.Objective(section.objective, direction),
        max_trials=section.trials,
        seed=job.trainer.seed,
        hyperparameters=space(section.search),
    )
    tuner = HeadTuner(oracle, job, train, val, weights, fn_args.working_dir)
    return TunerFnResult(tuner=tuner, fit_kwargs={})
