"""TF Serving's model config file of a model store: which of its versions is served.

It lies beside the store, as `{store}.config`. TF Serving, started with `--model_config_file` and
`--model_config_file_poll_wait_seconds`, follows it; so does the development server. People may add
models, labels and policies to it, so a change concerns the store's own entry alone; only comments
are lost, which protobuf does not keep.
"""

from __future__ import annotations

import os

import tensorflow as tf
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from components import model_store


def path(store: str) -> str:
    """Returns the config file of a store."""
    return f"{store}.config"


def ensure(store: str) -> None:
    """Writes a config that serves the newest version, where there is no config yet."""
    if not tf.io.gfile.exists(path(store)):
        clear(store)


def pin(store: str, version: int) -> None:
    """Has one version served until `clear` or another `pin`.

    It is given no label: TF Serving checks labels before it loads anything, and turns away the
    whole file where one names a version that is not served yet (model_servers/server_core.cc,
    UpdateModelVersionLabelMap), which a version to go back to never is.

    Raises:
        ValueError: the file is no config of TF Serving.
    """
    config = _read(store)
    _entry(config, store).model_version_policy.specific.versions[:] = [version]
    _write(store, config)


def clear(store: str) -> None:
    """Has the newest version served.

    Raises:
        ValueError: the file is no config of TF Serving.
    """
    config = _read(store)
    entry = _entry(config, store)
    # Every other policy serves the newest version too.
    if entry.model_version_policy.HasField("specific"):
        entry.ClearField("model_version_policy")
    _write(store, config)


def pinned(store: str) -> int | None:
    """Returns the version that is pinned, or None.

    Raises:
        ValueError: the file is no config of TF Serving.
    """
    versions = _entry(_read(store), store).model_version_policy.specific.versions
    return int(max(versions)) if versions else None


def in_production(store: str) -> int | None:
    """Returns the version that is served: the pinned one if it is there, else the newest."""
    version = pinned(store)
    return version if version in model_store.versions(store) else model_store.newest(store)


def _read(store: str) -> model_server_config_pb2.ModelServerConfig:
    """Returns what the config file holds; nothing where there is none yet."""
    config = model_server_config_pb2.ModelServerConfig()
    if tf.io.gfile.exists(path(store)):
        with tf.io.gfile.GFile(path(store)) as file:
            text = file.read()
        try:
            text_format.Parse(text, config)
        except text_format.ParseError as error:
            raise ValueError(f"{path(store)}: not a model config of TF Serving: {error}") from None
    return config


def _entry(
    config: model_server_config_pb2.ModelServerConfig, store: str
) -> model_server_config_pb2.ModelConfig:
    """Returns the store's own entry in a config; one is added where there is none."""
    name = store.rpartition("/")[2]
    for entry in config.model_config_list.config:
        if entry.name == name:
            return entry
    # TF Serving takes no relative path.
    base_path = store if "://" in store else os.path.abspath(store)
    return config.model_config_list.config.add(
        name=name, base_path=base_path, model_platform="tensorflow"
    )


def _write(store: str, config: model_server_config_pb2.ModelServerConfig) -> None:
    model_store.write_whole(path(store), text_format.MessageToString(config))
