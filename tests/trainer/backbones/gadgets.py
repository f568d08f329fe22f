"""Hostile models: each would run, read or take something if Keras or TensorFlow loaded it."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import tensorflow as tf

Json = dict[str, Any]
CONFIG, WEIGHTS = "config.json", "model.weights.h5"


def honest() -> keras.Model:
    """Returns a small model from images of 16 x 16 pixels to embeddings."""
    images = keras.Input((16, 16, 3))
    return keras.Model(images, keras.layers.GlobalAveragePooling2D(name="pool")(images))


def members(path: Path) -> dict[str, bytes]:
    """Reads all members of an archive."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write(path: Path, content: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    """Writes an archive."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return path


def with_config(path: Path, change: Callable[[Json], None]) -> Path:
    """Saves the honest model with another config."""
    honest().save(path)
    content = members(path)
    config = json.loads(content[CONFIG])
    change(config)
    return write(path, {**content, CONFIG: json.dumps(config).encode()})


def with_weights(path: Path, fill: Callable[[h5py.File], None]) -> Path:
    """Saves the honest model with other weights."""
    honest().save(path)
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as weights:
        fill(weights)
    return write(path, {**members(path), WEIGHTS: buffer.getvalue()})


def named(module: str | None, name: str, /, **config: Any) -> Json:
    """Returns the config of an object."""
    return {"module": module, "class_name": name, "config": config, "registered_name": name}


def function(module: str, name: str) -> Json:
    """Returns the config of a function."""
    text = {"class_name": "function", "config": name}
    return {"module": module, **text, "registered_name": name}


def objects(marker: Path) -> dict[str, Json]:
    """Returns configs by name that must not be deserialized; most would create the marker."""
    touch = f"touch {marker}"
    code = "4wAAAAAAAAAAAAAAAAEAAAABAAAAQwAAAPMEAAAAZAEBAFMA"
    coded = {"class_name": "__lambda__", "config": {"value": [code, None, None]}}
    path = str(marker.parent)
    return {
        "function of os": function("os", "system"),
        "function of builtins": function("builtins", "exec"),
        "function of a builtin name": function("builtins", "relu"),
        "get_file": function("keras.utils", "get_file"),
        "load_model": function("keras.saving", "load_model"),
        "unsafe": function("keras.config", "enable_unsafe_deserialization"),
        "class of subprocess": named("subprocess", "Popen", args=touch, shell=True),
        "class of a Keras module": named("keras.src.saving.file_editor", "KerasFileEditor", a=path),
        "module path": named("keras.src.utils.file_utils", "get_file", fname="x", origin=path),
        "another registered name": {
            **named("keras.layers", "Dense", units=1),
            "registered_name": "stranger>Dense",
        },
        "ours that is unknown": {**named("x", "Y"), "registered_name": "retrain>Nothing"},
        "code under our name": {
            **coded,
            **{"module": "trainer", "registered_name": "retrain>Preprocessing"},
        },
        "code": coded,
        "lambda": named("keras.layers", "Lambda", function=coded, output_shape=None),
        "lambda without module": {
            "class_name": "Lambda",
            "config": {"function": [code, None, None], "function_type": "lambda"},
        },
        "no module": {"module": None, "class_name": "Dense", "config": {"units": 1}},
        "a list for a module": {"module": ["keras"], "class_name": "Dense", "config": {}},
        "type": {
            "class_name": "__typespec__",
            "spec_name": "Popen",
            "module": "subprocess",
            "registered_name": None,
            "config": [touch],
        },
        "saved model": named("keras.layers", "TFSMLayer", filepath=path, call_endpoint="serve"),
        "torch": named("keras.layers", "TorchModuleWrapper", module=coded),
        "jax": named("keras.layers", "JaxLayer", call_fn=function("os", "system")),
        "flax": named("keras.layers", "FlaxLayer", module=function("os", "system")),
        "vocabulary": named("keras.layers", "StringLookup", vocabulary="/etc/passwd"),
        "numbers": named("keras.layers", "IntegerLookup", vocabulary="/etc/passwd"),
        "text": named("keras.layers", "TextVectorization", vocabulary="https://example.org/"),
        "features": named("keras.utils", "FeatureSpace", features={}),
        "odd type": {"class_name": "__tensor__", "config": {"value": 1, "dtype": {}}},
        "memory": {"class_name": "__numpy__", "config": {"value": [""], "dtype": "U1000000000"}},
    }


def _layer(config: Json) -> Json:
    layer: Json = config["config"]["layers"][1]
    return layer


def _as_model(config: Json, hostile: Json) -> None:
    config.clear()
    config.update(hostile)


def _as_layer(config: Json, hostile: Json) -> None:
    tensor = _layer(config)["inbound_nodes"]
    config["config"]["layers"][1] = {**hostile, "name": "pool", "inbound_nodes": tensor}


def _in_model(config: Json, key: str, hostile: Json) -> None:
    nested = {**named("keras", "Sequential", layers=[]), key: {"loss": hostile}}
    config["config"]["layers"].append({**nested, "name": "inner", "inbound_nodes": []})


PLACES: dict[str, Callable[[Json, Json], None]] = {
    "model": _as_model,
    "layer": _as_layer,
    "value": lambda config, hostile: _layer(config)["config"].update(data_format=hostile),
    "dtype": lambda config, hostile: _layer(config)["config"].update(dtype=hostile),
    "argument": lambda config, hostile: _layer(config)["inbound_nodes"][0]["kwargs"].update(
        mask=hostile
    ),
    "shapes": lambda config, hostile: _layer(config).update(build_config={"input_shape": hostile}),
    "compiled": lambda config, hostile: _in_model(config, "compile_config", hostile),
    "wrapped": lambda config, hostile: config["config"]["layers"].append(
        {**named("keras.layers", "TimeDistributed", layer=hostile), "inbound_nodes": []}
    ),
    "unknown key": lambda config, hostile: config.update(anything=[[{"deep": hostile}]]),
}


def command(config: Json, marker: Path) -> None:
    """Makes Keras up to 3.8 run a command while it loads (CVE-2025-1550)."""
    called = [{"args": [f"touch {marker}"], "kwargs": {}}]
    hostile = {**function("os", "system"), "name": "pool", "inbound_nodes": called}
    config["config"]["layers"][1] = hostile


def sharing(weights: h5py.File) -> None:
    """Puts a group into itself."""
    weights.create_group("layers")["layers"] = weights["/"]


def external(weights: h5py.File) -> None:
    """Has the data of a file of the machine."""
    weights.create_dataset("layers", (16,), "u1", external=[("/etc/passwd", 0, 16)])


def virtual(weights: h5py.File) -> None:
    """Has the data of another HDF5 file."""
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("/tmp/other.h5", "x", (4,))
    weights.create_virtual_dataset("layers", layout)


def _pointing(link: Any) -> Callable[[h5py.File], None]:
    return lambda weights: weights.__setitem__("layers", link)


HDF5: dict[str, Callable[[h5py.File], Any]] = {
    "link to a file": _pointing(h5py.ExternalLink("/tmp/other.h5", "/")),
    "link": _pointing(h5py.SoftLink("/nothing")),
    "circle": sharing,
    "external data": external,
    "virtual data": virtual,
    "declared only": lambda weights: weights.create_dataset("layers", (2**40,), chunks=(2**20,)),
    "compressed": lambda weights: weights.create_dataset(
        "layers", data=np.zeros(2**20), compression="gzip"
    ),
    "texts": lambda weights: weights.create_dataset("layers", data=["a", "b"]),
    "type": lambda weights: weights.__setitem__("layers", np.dtype("f8")),
}


class Graph(tf.Module):
    """A SavedModel whose signature gives embeddings, and does something else."""

    def __init__(self, effect: Callable[[tf.Tensor], Any]) -> None:
        """Prepares a graph that calls `effect` with the images."""
        super().__init__()
        self.effect = effect

    @tf.function(input_signature=[tf.TensorSpec([None, 16, 16, 3], name="images")])
    def serve(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns the mean colour, after the effect."""
        done = self.effect(images)
        with tf.control_dependencies([done] if isinstance(done, tf.Operation | tf.Tensor) else []):
            return {"out": tf.reduce_mean(images, [1, 2])}

    def save(self, folder: Path) -> Path:
        """Saves the module with the signature `serving_default`."""
        tf.saved_model.save(self, str(folder), {"serving_default": self.serve})
        return folder


def effects(marker: Path) -> dict[str, Callable[[tf.Tensor], Any]]:
    """Returns what a graph may do besides, by name."""
    path = os.fspath(marker)

    @tf.function
    def inner(images: tf.Tensor) -> tf.Tensor:
        tf.io.write_file(path, "x")
        return images

    def looped(images: tf.Tensor) -> Any:
        return tf.while_loop(
            lambda n: n < 1, lambda n: inner(images)[0, 0, 0, 0] * 0 + n + 1, [0.0]
        )

    return {
        "write": lambda images: tf.io.write_file(path, "x"),
        "read": lambda images: tf.io.read_file("/etc/passwd"),
        "list": lambda images: tf.io.matching_files("/*"),
        "python": lambda images: tf.py_function(lambda: None, [], []),
        "print": lambda images: tf.print("x", output_stream=f"file://{path}"),
        "data": lambda images: tf.data.TextLineDataset("/etc/passwd").reduce(0, lambda n, _: n + 1),
        "checkpoint": lambda images: tf.raw_ops.SaveV2(
            prefix=path, tensor_names=["x"], shape_and_slices=[""], tensors=[images]
        ),
        "debug": lambda images: tf.raw_ops.DebugIdentity(
            input=images, debug_urls=[f"file://{marker.parent}/debug"]
        ),
        "map": lambda images: tf.raw_ops.ImmutableConst(
            dtype=tf.uint8, shape=[1], memory_region_name="/etc/passwd"
        ),
        "abort": lambda images: tf.raw_ops.Abort(),
        "in a function": inner,
        "in a branch": lambda images: tf.cond(
            tf.reduce_sum(images) > 0, lambda: inner(images), lambda: images
        ),
        "in a loop": looped,
        "in a map": lambda images: tf.map_fn(inner, images),
    }
