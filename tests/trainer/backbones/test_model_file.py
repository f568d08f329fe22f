"""Any model in a file is a backbone, if it turns images into embeddings."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainer import finetuning, freezing
from trainer.backbones import registry

FILE = registry.get("file")
PIXELS = np.random.default_rng(0).uniform(0, 255, (2, 16, 16, 3)).astype(np.float32)


def _model(*layers: keras.Layer) -> keras.Model:
    keras.utils.set_random_seed(1)
    return keras.Sequential([keras.Input((16, 16, 3)), *layers])


@pytest.fixture
def model() -> keras.Model:
    return _model(keras.layers.Conv2D(4, 3), keras.layers.GlobalAveragePooling2D())


def test_a_keras_file_is_a_backbone(model: keras.Model, tmp_path: Path) -> None:
    path = str(tmp_path / "model.keras")
    model.save(path)
    assert FILE.input_size(path) == 16
    loaded = FILE.build(16, path)
    np.testing.assert_allclose(loaded(PIXELS, training=False), model(PIXELS), atol=1e-4)
    assert loaded.trainable_variables


def test_a_saved_model_is_a_backbone(model: keras.Model, tmp_path: Path) -> None:
    path = str(tmp_path / "saved")
    model.export(path, verbose=False)
    assert FILE.input_size(path) == 16
    loaded = FILE.build(16, path)
    np.testing.assert_allclose(loaded(PIXELS), model(PIXELS), atol=1e-4)
    np.testing.assert_allclose(
        freezing.freeze(loaded)(tf.constant(PIXELS)), model(PIXELS), atol=1e-4
    )
    with pytest.raises(ValueError, match="a SavedModel cannot be trained"):
        finetuning.unfreeze(loaded, 0.5)


def test_a_feature_map_is_averaged(tmp_path: Path) -> None:
    path = str(tmp_path / "model.keras")
    model = _model(keras.layers.Conv2D(4, 3))
    model.save(path)
    expected = np.asarray(model(PIXELS)).mean(axis=(1, 2))
    np.testing.assert_allclose(FILE.build(16, path)(PIXELS), expected, atol=1e-3)


def test_the_checksum_follows_the_content(model: keras.Model, tmp_path: Path) -> None:
    path = str(tmp_path / "model.keras")
    model.save(path)
    before = FILE.checksum(path)
    _model(keras.layers.Conv2D(5, 3)).save(path)
    assert before != FILE.checksum(path)


def test_another_shape_is_refused(model: keras.Model, tmp_path: Path) -> None:
    path = str(tmp_path / "model.keras")
    model.save(path)
    with pytest.raises(ValueError, match="no backbone for images of 20 pixels"):
        FILE.build(20, path)
    _model(keras.layers.Reshape((16, 48))).save(path)
    with pytest.raises(ValueError, match="a backbone gives one output"):
        FILE.build(16, path)
    with pytest.raises(FileNotFoundError, match="no backbone there"):
        FILE.checksum(f"{tmp_path}/nothing")
    tf.saved_model.save(tf.Module(), f"{tmp_path}/empty")
    with pytest.raises(ValueError, match="has no signature serving_default"):
        FILE.input_size(f"{tmp_path}/empty")
