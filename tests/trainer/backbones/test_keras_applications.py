"""Applications of Keras: what they take is what Keras says, and their weights can be given."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainer import freezing
from trainer.backbones import registry

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("name", "size"), [("VGG16", 224), ("InceptionV3", 299), ("MobileNetV3Small", 224)]
)
def test_the_default_size_is_keras_s(name: str, size: int) -> None:
    assert registry.get(name).input_size("none") == size


def test_pixels_are_preprocessed_as_keras_does() -> None:
    keras.utils.set_random_seed(1)
    model = registry.get("MobileNetV2").build(32, "none")
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype(np.float32)
    preprocessing = keras.applications.mobilenet_v2.preprocess_input
    scaled = np.asarray(model.get_layer("preprocessing")(pixels))
    np.testing.assert_allclose(scaled, preprocessing(pixels.copy()), atol=1e-6)


def test_layers_can_be_seen_by_name() -> None:
    names = [layer.name for layer in registry.get("VGG16").build(32, "none").layers]
    assert "block5_conv3" in names


def _saved(name: str, folder: Path) -> tuple[keras.Model, str]:
    """Returns an application of Keras as it is made, and the file of its weights."""
    path = str(folder / f"{name}.weights.h5")
    keras.utils.set_random_seed(1)
    application = getattr(keras.applications, name)(
        include_top=False, weights=None, input_shape=(32, 32, 3), pooling="avg"
    )
    application.save_weights(path)
    return application, path


def test_weights_come_from_a_file(tmp_path: Path) -> None:
    application, path = _saved("MobileNetV2", tmp_path)
    backbone = registry.get("MobileNetV2")
    assert len(backbone.checksum(path)) == 64
    loaded = backbone.build(32, path)
    for one, two in zip(application.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    with pytest.raises(ValueError, match="not the weights of VGG16"):
        registry.get("VGG16").build(32, path)


def test_convnext_is_what_keras_has_and_can_be_frozen(tmp_path: Path) -> None:
    application, path = _saved("ConvNeXtTiny", tmp_path)
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype(np.float32)
    expected = application(pixels, training=False)
    loaded = registry.get("ConvNeXtTiny").build(32, path)
    np.testing.assert_allclose(loaded(pixels, training=False), expected, atol=1e-4)
    frozen = freezing.freeze(loaded)
    np.testing.assert_allclose(frozen(tf.constant(pixels)), expected, atol=1e-4)


def test_wrong_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'bundled' are not known for VGG16; allowed: imagenet"):
        registry.get("VGG16").build(32, "bundled")
    with pytest.raises(FileNotFoundError, match=r"none\.h5: no such weights file"):
        registry.get("VGG16").checksum(f"{tmp_path}/none.h5")
    with pytest.raises(ValueError, match="InceptionV3 at 32 pixels: "):
        registry.get("InceptionV3").build(32, "none")
