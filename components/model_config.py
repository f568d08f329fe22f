"""TF Serving's model config file of a model store: which of its versions is served.

It lies beside the store, as `{store}.config`. TF Serving, started with `--model_config_file` and
`--model_config_file_poll_wait_seconds`, follows it; so does the development server.
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

    The file gives it no label: TF Serving checks labels before it loads anything, and turns away
    the whole file where one names a version that is not served yet (model_servers/server_core.cc,
    UpdateModelVersionLabelMap), which a version to go back to never is.
    """
    config = _config(store)
    (entry,) = config.model_config_list.config
    entry.model_version_policy.specific.versions.append(version)
    _write(store, config)


def clear(store: str) -> None:
    """Has the newest version served."""
    _write(store, _config(store))


def pinned(store: str) -> int | None:
    """Returns the version that is pinned, or None.

    Raises:
        ValueError: the file is no config of TF Serving.
    """
    if not tf.io.gfile.exists(path(store)):
        return None
    with tf.io.gfile.GFile(path(store)) as file:
        text = file.read()
    try:
        config = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    except text_format.ParseError as error:
        raise ValueError(f"{path(store)}: not a model config of TF Serving: {error}") from None
    for entry in config.model_config_list.config:
        versions = entry.model_version_policy.specific.versions
        if entry.name == _name(store) and versions:
            return int(max(versions))
    return None


def in_production(store: str) -> int | None:
    """Returns the version that is served: the pinned one if it is there, else the newest."""
    version = pinned(store)
    return version if version in model_store.versions(store) else model_store.newest(store)


def _config(store: str) -> model_server_config_pb2.ModelServerConfig:
    config = model_server_config_pb2.ModelServerConfig()
    # TF Serving takes no relative path.
    base_path = store if "://" in store else os.path.abspath(store)
    config.model_config_list.config.add(
        name=_name(store), base_path=base_path, model_platform="tensorflow"
    )
    return config


def _name(store: str) -> str:
    return store.rpartition("/")[2]


def _write(store: str, config: model_server_config_pb2.ModelServerConfig) -> None:
    model_store.write_whole(path(store), text_format.MessageToString(config))
