"""A backbone from a file: a model that Keras saved, or any SavedModel."""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import keras
import tensorflow as tf

from trainer.backbones import keras_archive, saved_graph
from trainer.features import SERVING_DEFAULT

_KERAS = ".keras"


def build(name: str, image_size: int, weights: str) -> keras.Model:
    """Loads a model and checks that it turns images into embeddings.

    See also `registry.Backbone.build`. `weights` is the path or URI of a `.keras` file, or of the
    folder of a SavedModel whose signature `serving_default` has one input and one output. The model
    must scale pixels itself. Feature maps are averaged over positions. A SavedModel cannot be
    trained. Before anything loads a file it is checked, see `keras_archive` and `saved_graph`.

    Raises:
        ValueError: the file could do more than compute, cannot be loaded, or its input or output
            has another shape.
        FileNotFoundError: there is no such file or folder.
    """
    images = keras.Input((image_size, image_size, 3), dtype="float32", name="images")
    purpose = (
        f"no backbone for images of {image_size} pixels (float32"
        f" [batch, {image_size}, {image_size}, 3])"
    )
    with _checked(weights, purpose) as path:
        if weights.endswith(_KERAS):
            model = keras.models.load_model(path, compile=False)
        else:
            model = keras.layers.TFSMLayer(path, call_endpoint=SERVING_DEFAULT, name="saved")
        features = keras.tree.flatten(model(images))
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
    with _checked(weights, "no backbone") as path:
        if weights.endswith(_KERAS):
            shape = keras.models.load_model(path, compile=False).input_shape
        else:
            (given,) = _signature(path).structured_input_signature[1].values()
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


@contextlib.contextmanager
def _checked(path: str, purpose: str) -> Iterator[str]:
    """Yields where to load a model from that has been checked; tells what fails there in one line.

    A `.keras` file is copied first: Keras reads local files only, and reads what was checked.
    """
    _check(path)
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "model.keras"
        try:
            if path.endswith(_KERAS):
                tf.io.gfile.copy(path, str(copy))
                keras_archive.check(copy)
            else:
                saved_graph.check(path)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        try:
            yield str(copy) if path.endswith(_KERAS) else path
        except Exception as error:  # what strangers wrote can make Keras raise anything
            reason = " ".join(str(error).replace(str(copy), path).split())[:300]
            raise ValueError(f"{path}: {purpose}: {reason or type(error).__name__}") from error


def _signature(path: str) -> tf.types.experimental.ConcreteFunction:
    signatures = tf.saved_model.load(path).signatures
    if SERVING_DEFAULT not in signatures:
        raise ValueError(f"has no signature {SERVING_DEFAULT}")
    return signatures[SERVING_DEFAULT]
