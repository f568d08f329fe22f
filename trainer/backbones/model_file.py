"""A backbone from a file: a model that Keras saved, or any SavedModel."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

import keras
import tensorflow as tf

from trainer.features import SERVING_DEFAULT

_KERAS = ".keras"


def build(name: str, image_size: int, weights: str) -> keras.Model:
    """Loads a model and checks that it turns images into embeddings.

    See also `registry.Backbone.build`. `weights` is the path or URI of a `.keras` file, or of the
    folder of a SavedModel whose signature `serving_default` has one input and one output. The model
    must scale pixels itself. Feature maps are averaged over positions. A SavedModel cannot be
    trained.

    Raises:
        ValueError: the file cannot be loaded, or its input or output has another shape.
        FileNotFoundError: there is no such file or folder.
    """
    _check(weights)
    images = keras.Input((image_size, image_size, 3), dtype="float32", name="images")
    try:
        if weights.endswith(_KERAS):
            model = _load_keras(weights)
        else:
            model = keras.layers.TFSMLayer(weights, call_endpoint=SERVING_DEFAULT, name="saved")
        features = keras.tree.flatten(model(images))
    except (ValueError, TypeError, OSError, tf.errors.OpError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ValueError(
            f"{weights}: no backbone for images of {image_size} pixels (float32"
            f" [batch, {image_size}, {image_size}, 3]): {reason}"
        ) from error
    if len(features) != 1 or len(features[0].shape) not in (2, 4) or features[0].shape[-1] is None:
        shapes = ", ".join(str(tuple(feature.shape)) for feature in features)
        raise ValueError(
            f"{weights}: gives {shapes}; a backbone gives one output,"
            " [batch, dimension] or [batch, height, width, channels]"
        )
    (output,) = features
    if len(output.shape) == 4:
        output = keras.layers.GlobalAveragePooling2D(name="pool")(output)
    return keras.Model(images, output, name="file")


def checksum(name: str, weights: str) -> str:
    """Returns the sha256 of the file, or of all files of the folder, as 64 hex digits."""
    _check(weights)
    hasher = hashlib.sha256()
    paths = [weights]
    if not weights.endswith(_KERAS):
        paths = sorted(
            f"{folder.rstrip('/')}/{file}"
            for folder, _, files in tf.io.gfile.walk(weights)
            for file in files
        )
    for path in paths:
        with tf.io.gfile.GFile(path, "rb") as file:
            hasher.update(path.removeprefix(weights).encode() + b"\0" + file.read() + b"\0")
    return hasher.hexdigest()


def input_size(name: str, weights: str) -> int:
    """Returns the side in pixels of the images that the model takes.

    Raises:
        ValueError: the model takes images of any size, so the config must set one.
        FileNotFoundError: there is no such file or folder.
    """
    _check(weights)
    if weights.endswith(_KERAS):
        shape = _load_keras(weights).input_shape
    else:
        (given,) = _signature(weights).structured_input_signature[1].values()
        shape = given.shape
    if len(shape) != 4 or not shape[1]:
        raise ValueError(f"{weights}: takes {tuple(shape)}; set image.size")
    return int(shape[1])


def _check(path: str) -> None:
    wanted = path if path.endswith(_KERAS) else f"{path.rstrip('/')}/saved_model.pb"
    if not tf.io.gfile.exists(wanted):
        raise FileNotFoundError(
            f"{path}: no backbone there; allowed: a .keras file or the folder of a SavedModel"
        )


def _load_keras(path: str) -> keras.Model:
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "model.keras"  # Keras reads local files only
        tf.io.gfile.copy(path, str(copy))
        return keras.models.load_model(copy, compile=False)


def _signature(path: str) -> tf.types.experimental.ConcreteFunction:
    signatures = tf.saved_model.load(path).signatures
    if SERVING_DEFAULT not in signatures:
        raise ValueError(f"{path}: has no signature {SERVING_DEFAULT}")
    return signatures[SERVING_DEFAULT]
