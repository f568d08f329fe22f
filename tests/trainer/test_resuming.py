"""A saved state goes back to the variables that have its names, or nowhere."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from trainer.resuming import Checkpoint, EarlyStopping

pytestmark = pytest.mark.slow


def _model(*names: str, seed: int) -> keras.Model:
    """Adds dense layers of these names, after dropout; the order decides on that of variables."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((4,))
    dropped = keras.layers.Dropout(0.5, name="dropout")(inputs)
    outputs = [keras.layers.Dense(3, name=name)(dropped) for name in names]
    model = keras.Model(inputs, keras.layers.Add(name="sum")(outputs), name="test")
    model.compile("adam", "mse")
    return model


def _trained(folder: Path) -> keras.Model:
    model = _model("one", "two", seed=1)
    stopping = EarlyStopping(monitor="val_loss", restore_best_weights=True)
    data = (np.ones((8, 4), np.float32), np.ones((8, 3), np.float32))
    callbacks = [stopping, Checkpoint(str(folder), stopping)]
    model.fit(*data, validation_data=data, epochs=2, callbacks=callbacks, verbose=0)
    return model


def test_variables_are_found_by_their_names_in_whatever_order(tmp_path: Path) -> None:
    trained = _trained(tmp_path / "state")
    keras.layers.Dropout(0.5)  # Keras numbers the seeds of dropout by what was made before
    other = _model("two", "one", seed=2)
    assert [w.path for w in other.weights] != [w.path for w in trained.weights]
    stopping = EarlyStopping()
    assert Checkpoint(str(tmp_path / "state"), stopping).restore(other) == 2
    for name in ("one", "two"):
        values = zip(
            trained.get_layer(name).get_weights(), other.get_layer(name).get_weights(), strict=True
        )
        for expected, found in values:
            np.testing.assert_array_equal(expected, found)
    assert stopping.restored is not None
    best = dict(
        zip([w.path for w in other.weights], stopping.restored["best_weights"], strict=True)
    )
    np.testing.assert_array_equal(best["two/kernel"], trained.get_layer("two").kernel)
    assert int(other.optimizer.iterations) == 2


def test_a_state_of_another_model_names_what_it_lacks(tmp_path: Path) -> None:
    _trained(tmp_path / "state")
    other = _model("one", "three", seed=1)
    before = other.get_weights()
    with pytest.raises(ValueError, match=r"lacks model/three/kernel \(8 missing in all\); delete"):
        Checkpoint(str(tmp_path / "state"), EarlyStopping()).restore(other)
    for one, two in zip(before, other.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_without_a_state_training_begins_with_epoch_0(tmp_path: Path) -> None:
    checkpoint = Checkpoint(str(tmp_path / "state"), EarlyStopping())
    assert checkpoint.restore(_model("one", "two", seed=1)) == 0
