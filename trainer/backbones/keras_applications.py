"""The classification models of `keras.applications`, without their classifiers.

Preprocessing and default size come from Keras itself, so no copy of them can go out of date.
"""

from __future__ import annotations

import functools
import hashlib
import sys
import tempfile
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from trainer.backbones import catalog, hdf5_weights, keras_archive

# MobileNetV3 takes any size; this is what its weights were trained at (arXiv:1905.02244, 6.1.1).
_OPEN_SIZE = 224


@keras.saving.register_keras_serializable("retrain")
class Preprocessing(keras.layers.Layer):
    """Applies the preprocessing of a family of `keras.applications` to pixels."""

    def __init__(self, application: str, **options: Any) -> None:
        """Finds the preprocessing of a model of `keras.applications`, such as "ResNet50"."""
        super().__init__(**options)
        self.application = catalog.get(application).name
        self._preprocess = sys.modules[_application(application).__module__].preprocess_input

    def call(self, images: keras.KerasTensor) -> keras.KerasTensor:
        """Preprocesses images, float32 RGB in [0, 255], as the application expects them."""
        return self._preprocess(images)

    def compute_output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Returns the input's shape, which does not change."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor, so that Keras can save the layer."""
        return {**super().get_config(), "application": self.application}


def build(name: str, image_size: int, weights: str) -> keras.Model:
    """Builds an application without its top; the last feature map is averaged over positions.

    See also `registry.Backbone.build`. `weights` is "imagenet" (Keras downloads them once), "none"
    (random: seed Keras first) or the path or URI of a weights file that Keras saved for the
    application without its top.
    """
    _check(name, weights)
    images = keras.Input((image_size, image_size, 3), dtype="float32", name="images")
    pixels = Preprocessing(name, dtype="float32", name="preprocessing")(images)
    try:
        application = _application(name)(
            include_top=False,
            weights="imagenet" if weights == "imagenet" else None,
            input_tensor=pixels,
            input_shape=(image_size, image_size, 3),
            pooling="avg",
        )
    except ValueError as error:
        raise ValueError(f"{name} at {image_size} pixels: {error}") from error
    except Exception as error:
        # Keras raises a bare Exception if a download fails.
        if weights != "imagenet":
            raise
        raise FileNotFoundError(
            f"weights 'imagenet' of {name} cannot be downloaded: {error}; allowed without a"
            " network: the path of a weights file, or another backbone"
        ) from error
    if weights not in catalog.get(name).weights:
        _load(application, name, weights)
    model = keras.Model(images, application.output, name=name)
    if not any(_is_depthwise(layer) for layer in model.layers):
        return model
    copied = keras.models.clone_model(model, clone_function=_copied)
    if weights != "none":
        for layer in model.layers:
            same = copied.get_layer(layer.name)
            shapes = [variable.shape for variable in same.weights]
            values = zip(layer.get_weights(), shapes, strict=True)
            same.set_weights([value.reshape(shape) for value, shape in values])
    return copied


def checksum(name: str, weights: str) -> str:
    """Returns the sha256 of a file, "imagenet of Keras" with its version, or "none"."""
    _check(name, weights)
    if weights == "none":
        return "none"
    if weights == "imagenet":
        return f"imagenet of Keras {keras.__version__}"
    with tf.io.gfile.GFile(weights, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


@functools.lru_cache
def input_size(name: str, weights: str) -> int:
    """Returns the side in pixels of the images that the application takes by default."""
    # In this scope Keras allocates no variables.
    with keras.StatelessScope():
        side = _application(name)(weights=None).input_shape[1]
    return int(side or _OPEN_SIZE)


def _is_depthwise(layer: keras.Layer) -> bool:
    return isinstance(layer, keras.layers.Conv2D) and 1 < layer.groups == layer.filters


def _copied(layer: keras.Layer) -> keras.Layer:
    """Copies a layer; a grouped convolution of single channels becomes a depthwise one.

    Keras compiles grouped convolutions, as in ConvNeXt, with XLA; such a model cannot be frozen.
    """
    options = layer.get_config()
    if not _is_depthwise(layer):
        return type(layer).from_config(options)
    del options["filters"], options["groups"]
    for part in ("initializer", "regularizer", "constraint"):
        options[f"depthwise_{part}"] = options.pop(f"kernel_{part}")
    return keras.layers.DepthwiseConv2D.from_config(options)


def _application(name: str) -> Any:
    return getattr(keras.applications, name)


def _check(name: str, weights: str) -> None:
    symbols = catalog.get(name).weights
    if weights in symbols:
        return
    if "/" not in weights:
        raise ValueError(
            f"weights {weights!r} are not known for {name};"
            f" allowed: {', '.join(symbols)}, or a path or URI"
        )
    if not tf.io.gfile.exists(weights) or tf.io.gfile.isdir(weights):
        raise FileNotFoundError(f"{weights}: no such weights file")


def _check_content(path: Path) -> None:
    if path.suffix == ".keras":
        keras_archive.check(path)
    elif path.suffix in (".h5", ".hdf5"):
        hdf5_weights.check(path)
    else:
        raise ValueError(f"found a name in {path.suffix!r}; allowed: .weights.h5, .h5, .keras")


def _load(application: keras.Model, name: str, weights: str) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        # Keras reads local files only, and infers their format from the name.
        copy = Path(scratch) / weights.rpartition("/")[2]
        tf.io.gfile.copy(weights, str(copy))
        try:
            _check_content(copy)
            application.load_weights(str(copy))
        except (ValueError, OSError, KeyError) as error:
            reason = str(error).partition("\n")[0]
            raise ValueError(f"{weights}: not the weights of {name}: {reason}") from error
