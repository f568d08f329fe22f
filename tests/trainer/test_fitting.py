"""Training goes on where it was killed, and says in a sentence why it cannot go on at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainer import fitting, progress
from trainer.fitting import TrainingFailedError
from trainer.options.training import Trainer

pytestmark = pytest.mark.slow

OPTIONS = Trainer(epochs=6, batch_size=10, learning_rate=0.05, patience=6)
STEPS = 6


def _batches(first_epoch: int = 0, epochs: int = 6, scale: float = 1.0) -> tf.data.Dataset:
    random = np.random.default_rng(0)
    labels = random.integers(0, 3, 60)
    inputs = scale * (np.eye(3, 4)[labels] + 0.5 * random.normal(size=(60, 4)))
    data = (inputs.astype(np.float32), np.eye(3, dtype=np.float32)[labels], np.ones(60, np.float32))
    return (
        tf.data.Dataset.range(first_epoch, epochs)
        .flat_map(lambda n: tf.data.Dataset.from_tensor_slices(data).shuffle(60, seed=n))
        .batch(10)
    )


def _model() -> keras.Model:
    keras.utils.set_random_seed(1)
    return keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(3, name="logits")], name="classifier"
    )


def _fit(model: keras.Model, data: Any = _batches, **options: Any) -> None:
    changes = {key: options.pop(key) for key in list(options) if hasattr(OPTIONS, key)}
    fitting.fit(
        model,
        data,
        _batches(0, 1),
        steps_per_epoch=STEPS,
        options=OPTIONS.model_copy(update=changes),
        task="test",
        **options,
    )


class _Killed(BaseException):
    pass


def test_a_killed_training_ends_as_an_undisturbed_one(tmp_path: Path) -> None:
    undisturbed = _model()
    _fit(undisturbed)

    folder = str(tmp_path / "state")

    killed = _model()
    original = fitting._Watch.on_train_batch_end
    steps = []

    def kill(self: Any, batch: int, logs: Any = None) -> None:
        original(self, batch, logs)
        steps.append(batch)
        if len(steps) == 3 * STEPS + 2:  # in the fourth epoch
            raise _Killed

    with pytest.MonkeyPatch.context() as patch, pytest.raises(_Killed):
        patch.setattr(fitting._Watch, "on_train_batch_end", kill)
        _fit(killed, checkpoint=folder)
    assert (tmp_path / "state" / "state.npz").exists()

    begun: list[int] = []

    def data(first_epoch: int) -> tf.data.Dataset:
        begun.append(first_epoch)
        return _batches(first_epoch)

    resumed = _model()
    _fit(resumed, data, checkpoint=folder)
    assert begun == [3]
    for one, two in zip(undisturbed.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_allclose(one, two, atol=1e-5)
    assert (tmp_path / "state").exists(), "the model is not written yet"


def test_the_best_epoch_before_the_kill_still_counts(tmp_path: Path) -> None:
    # After two good epochs the data turns to noise: the best weights lie before the interruption.
    folder = str(tmp_path / "state")
    reference = _model()
    _fit(reference, epochs=2)
    stopped = _model()

    class Stop(BaseException):
        pass

    def data(first_epoch: int) -> tf.data.Dataset:
        good = _batches(first_epoch, 2)
        bad = _batches(2, 6).map(lambda x, y, w: (x, tf.reverse(y, [1]), w))
        return good.concatenate(bad) if first_epoch < 2 else bad.skip((first_epoch - 2) * STEPS)

    original = fitting.Checkpoint.on_epoch_end

    def stop(self: Any, epoch: int, logs: Any = None) -> None:
        original(self, epoch, logs)
        if epoch == 3:
            raise Stop

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Stop):
        patch.setattr(fitting.Checkpoint, "on_epoch_end", stop)
        _fit(stopped, data, checkpoint=folder, schedule="constant")
    resumed = _model()
    _fit(resumed, data, checkpoint=folder, schedule="constant")
    losses = resumed.history.history["val_loss"]
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    inputs, shares, _ = map(np.concatenate, zip(*_batches(0, 1).as_numpy_iterator(), strict=True))
    assert float(loss(shares, resumed(inputs))) < min(losses) - 0.05


def test_a_loss_that_is_no_number_names_the_step_and_the_cause() -> None:
    with pytest.raises(
        TrainingFailedError,
        match=r"test: the loss is (nan|inf) at step \d+ .*learning rate of 1e\+30",
    ):
        _fit(_model(), lambda n: _batches(n, scale=1e20), optimizer="sgd", learning_rate=1e30)
    assert progress.latest() is None


def test_too_little_memory_suggests_a_batch_size() -> None:
    class Huge(keras.layers.Layer):
        def call(self, inputs: Any) -> Any:
            rows = tf.shape(inputs)[0]  # else the graph's optimizer would try it
            return inputs + tf.reduce_sum(tf.fill([rows * 2**20, 2**22], inputs[0, 0]))

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), Huge()])
    with pytest.raises(TrainingFailedError, match="batch_size of 10; try 5"):
        _fit(model)


def test_progress_is_told_while_training(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[progress.Progress | None] = []
    monkeypatch.setattr(progress, "tell", told.append)
    _fit(_model())
    steps = [state for state in told if state is not None]
    assert told[-1] is None
    assert [state.done for state in steps] == sorted(state.done for state in steps)
    assert steps[-1].done == 1
    assert steps[-1].seconds_left == 0
    assert steps[0].line().startswith("test: epoch 1/6, 3 %, about ")


def test_several_steps_at_once_train_the_same() -> None:
    one, many = _model(), _model()
    _fit(one)
    _fit(many, steps_per_execution=4)  # an epoch has 6 steps
    for first, second in zip(one.get_weights(), many.get_weights(), strict=True):
        np.testing.assert_allclose(first, second, atol=1e-5)


@pytest.mark.parametrize(
    ("steps", "wanted", "taken"), [(6, 4, 3), (7, 50, 7), (7, 5, 1), (1, 9, 1)]
)
def test_steps_at_once_fill_an_epoch_exactly(steps: int, wanted: int, taken: int) -> None:
    assert fitting._at_once(steps, wanted) == taken
