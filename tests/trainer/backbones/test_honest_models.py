"""The checks of model files let through what Keras and TensorFlow save."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainer.backbones import registry

FILE = registry.get("file")
SIDE = 32
PIXELS = np.random.default_rng(0).uniform(0, 255, (2, SIDE, SIDE, 3)).astype(np.float32)
layers = keras.layers


def _stack(*parts: Any) -> keras.Model:
    return keras.Sequential([keras.Input((SIDE, SIDE, 3)), *parts])


def _functional() -> keras.Model:
    images = keras.Input((SIDE, SIDE, 3))
    normal = layers.Normalization(mean=[1.0, 2.0, 3.0], variance=[4.0, 5.0, 6.0])(images)
    shared = layers.Conv2D(3, 3, padding="same", kernel_regularizer="l2", activation="gelu")
    joined = layers.Concatenate()([shared(normal), layers.Add()([shared(images), normal])])
    return keras.Model(images, layers.GlobalMaxPooling2D()(joined))


def _operations() -> keras.Model:
    images = keras.Input((SIDE, SIDE, 3))
    scaled = keras.activations.relu(images / 255.0 - 0.5)
    mean = keras.ops.mean(keras.ops.square(scaled), axis=[1, 2])
    return keras.Model(images, keras.ops.concatenate([mean, mean * 2 + 1]))


def _nested() -> keras.Model:
    inner = _functional()
    inner.compile("adam", "mse", metrics=["mae", keras.metrics.CosineSimilarity()])
    return _stack(_stack(layers.Rescaling(1 / 255)), inner, layers.Dense(3))


def _compiled() -> keras.Model:
    model = _stack(layers.Flatten(), layers.Dense(2, kernel_constraint="non_neg"))
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 10)
    model.compile(keras.optimizers.AdamW(schedule), lambda real, found: found - real)
    model.train_on_batch(PIXELS, np.zeros((2, 2), np.float32))
    return model


def _mixed() -> keras.Model:
    policy = keras.DTypePolicy("mixed_bfloat16")
    return _stack(
        layers.Conv2D(4, 3, dtype=policy),
        layers.BatchNormalization(dtype=policy),
        layers.GlobalAveragePooling2D(dtype="float32"),
    )


def _augmented() -> keras.Model:
    return _stack(
        layers.Rescaling(1 / 127.5, offset=-1),
        layers.Resizing(24, 24),
        layers.RandomFlip("horizontal", seed=1),
        layers.RandomRotation(0.1),
        layers.RandomZoom(0.1),
        layers.RandomContrast(0.1),
        layers.RandomBrightness(0.1),
        layers.RandomTranslation(0.1, 0.1),
        layers.RandomCrop(16, 16),
        layers.Dropout(0.5),
        layers.LeakyReLU(),
        layers.SeparableConv2D(4, 3, depthwise_initializer=keras.initializers.HeNormal(seed=3)),
        layers.LayerNormalization(),
        layers.GlobalAveragePooling2D(),
    )


def _attention() -> keras.Model:
    images = keras.Input((SIDE, SIDE, 3))
    patches = layers.Reshape((-1, 8))(layers.Conv2D(8, 8, strides=8)(images))
    seen = layers.MultiHeadAttention(2, 4)(patches, patches)
    wrapped = layers.TimeDistributed(layers.Dense(4, activation="relu6"))(seen)
    return keras.Model(images, layers.Bidirectional(layers.GRU(3))(wrapped))


def _application(name: str, **options: Any) -> Callable[[], keras.Model]:
    def build() -> keras.Model:
        application = getattr(keras.applications, name)
        shape = (SIDE, SIDE, 3)
        return application(
            weights=None, include_top=False, pooling="avg", input_shape=shape, **options
        )

    return build


MODELS = {
    "functional": _functional,
    "operations": _operations,
    "nested": _nested,
    "compiled": _compiled,
    "mixed": _mixed,
    "augmented": _augmented,
    "attention": _attention,
    "MobileNet": _application("MobileNet", alpha=0.25),
    "MobileNetV3Small": _application("MobileNetV3Small"),
    "EfficientNetV2B0": _application("EfficientNetV2B0"),
}
_LARGE = ("MobileNetV3Small", "EfficientNetV2B0")
NAMES = [pytest.param(name, marks=[pytest.mark.slow] if name in _LARGE else []) for name in MODELS]


@pytest.mark.parametrize("name", NAMES)
def test_keras_files_load(name: str, tmp_path: Path) -> None:
    keras.utils.set_random_seed(1)
    model, path = MODELS[name](), str(tmp_path / "model.keras")
    model.save(path)
    assert FILE.input_size(path) == SIDE
    found = FILE.build(SIDE, path)(PIXELS, training=False)
    np.testing.assert_allclose(
        np.asarray(found, np.float32), np.asarray(model(PIXELS, training=False)), atol=1e-3
    )


@pytest.mark.parametrize("name", NAMES)
def test_saved_models_load(name: str, tmp_path: Path) -> None:
    model, path = MODELS[name](), str(tmp_path / "saved")
    model.export(path, verbose=False)
    assert FILE.input_size(path) == SIDE
    # Keras exports augmentations as they train.
    assert FILE.build(SIDE, path)(PIXELS).shape == model(PIXELS, training=False).shape


def test_a_backbone_of_this_package_loads(tmp_path: Path) -> None:
    path = str(tmp_path / "model.keras")
    keras.utils.set_random_seed(1)
    model = registry.get("MobileNet").build(SIDE, "none")
    model.save(path)
    np.testing.assert_allclose(
        FILE.build(SIDE, path)(PIXELS, training=False), model(PIXELS, training=False), atol=1e-3
    )


@pytest.mark.parametrize("name", ["w.weights.h5", "w.h5", "w.keras"])
def test_weights_for_a_network_by_name_load(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    model = _application("MobileNet")()
    (model.save_weights if name == "w.weights.h5" else model.save)(path)
    built = registry.get("MobileNet").build(SIDE, str(path))
    np.testing.assert_allclose(built.get_weights()[0], model.get_weights()[0])


def test_a_saved_model_of_plain_tensorflow_loads(tmp_path: Path) -> None:
    module = tf.Module()
    module.scale = tf.Variable(tf.eye(3))

    @tf.function(input_signature=[tf.TensorSpec([None, SIDE, SIDE, 3])])
    def serve(images: tf.Tensor) -> tf.Tensor:
        tf.debugging.assert_non_negative(images)
        steps = tf.map_fn(lambda image: tf.reduce_mean(image, [0, 1]), images)
        return tf.cond(tf.size(steps) > 0, lambda: steps @ module.scale, lambda: steps)

    tf.saved_model.save(module, str(tmp_path), {"serving_default": serve})
    found = FILE.build(SIDE, str(tmp_path))(PIXELS)
    np.testing.assert_allclose(found, PIXELS.mean((1, 2)), rtol=1e-4)
