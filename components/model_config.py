"""TF Serving's model config file, which selects the served version of a model store.

The file is `{store}.config`, beside the store. TF Serving follows it if it is started with
`--model_config_file` and `--model_config_file_poll_wait_seconds`; so does the development server.
People may add models, labels and policies, so this module changes only the store's own entry. It
loses comments, because protobuf does not keep them.
"""

import os

import tensorflow as tf
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from components import model_store


def path(store: str) -> str:
    """Returns the path of a store's config file."""
    return f"{store}.config"


def ensure(store: str) -> None:
    """Writes a config that serves the store's newest version, unless the store has a config."""
    if not tf.io.gfile.exists(path(store)):
        clear(store)


def pin(store: str, version: int) -> None:
    """Makes TF Serving serve one version until `clear` or another `pin`.

    The version gets no label. TF Serving checks labels before it loads anything, and refuses the
    whole file if a label names a version that is not served yet (model_servers/server_core.cc,
    UpdateModelVersionLabelMap). A rollback always names such a version.

    Raises:
        ValueError: the file is no config of TF Serving.
    """
    config = _read(store)
    _entry(config, store).model_version_policy.specific.versions[:] = [version]
    _write(store, config)


def clear(store: str) -> None:
    """Removes the pin, so that TF Serving serves the newest version.

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
    """Returns the version that is pinned; None if the newest one is served.

    Raises:
        ValueError: the file is no config of TF Serving.
    """
    versions = _entry(_read(store), store).model_version_policy.specific.versions
    return int(max(versions)) if versions else None


def in_production(store: str) -> int | None:
    """Returns the served version: the pinned one if stored, else the newest; None if empty."""
    version = pinned(store)
    return version if version in model_store.versions(store) else model_store.newest(store)


def _read(store: str) -> model_server_config_pb2.ModelServerConfig:
    """Reads the config file; a missing file is an empty config."""
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
    """Returns the store's own entry in a config; adds it if missing."""
    name = store.rpartition("/")[2]
    for entry in config.model_config_list.config:
        if entry.name == name:
            return entry
    # TF Serving rejects relative paths.
    base_path = store if "://" in store else os.path.abspath(store)
    return config.model_config_list.config.add(
        name=name, base_path=base_path, model_platform="tensorflow"
    )


def _write(store: str, config: model_server_config_pb2.ModelServerConfig) -> None:
    model_store.write_whole(path(store), text_format.MessageToString(config))
