"""TF Serving's model config: the models to serve, their versions and their labels.

Source: tensorflow/serving, model_servers/server_core.cc and
sources/storage_path/file_system_storage_path_source.cc.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import tensorflow as tf
from google.protobuf import text_format
from grpc import StatusCode
from tensorflow_serving.config import file_system_storage_path_source_pb2, model_server_config_pb2

from serving.errors import ServingError, invalid

_HIGHEST = 2**63 - 1
_Policy = (
    file_system_storage_path_source_pb2.FileSystemStoragePathSourceConfig.ServableVersionPolicy
)


@dataclass(frozen=True)
class Model:
    """A model to serve: an entry of a model config."""

    name: str
    base_path: str  # the folder that holds a folder for each version, named by the number
    policy: Any = field(default_factory=_Policy)  # the versions to serve; default: the newest
    labels: Mapping[str, int] = field(default_factory=dict)  # label -> version

    def aspired(self, children: Iterable[str]) -> dict[int, str]:
        """Applies the version policy to `children`, the names in the base path.

        Returns:
            Version to serve -> folder name, the newest version first.
        """
        there = {
            int(child): child
            for child in sorted(children)
            if re.fullmatch(r"[0-9]{1,19}", child) and int(child) <= _HIGHEST
        }
        wanted = sorted(there, reverse=True)
        choice = self.policy.WhichOneof("policy_choice")
        if choice == "specific":
            wanted = [version for version in wanted if version in self.policy.specific.versions]
        elif choice != "all":
            wanted = wanted[: max(self.policy.latest.num_versions, 1)]
        return {version: there[version] for version in wanted}


def read(path: str) -> str:
    """Returns the text of a file, local or on any file system that TensorFlow supports.

    Raises:
        ServingError: the file cannot be read.
    """
    try:
        with tf.io.gfile.GFile(path) as file:
            text: str = file.read()
    except (tf.errors.OpError, UnicodeDecodeError) as error:
        reason = error.message if isinstance(error, tf.errors.OpError) else "it is not UTF-8 text"
        raise invalid(f"{path}: cannot be read: {reason}") from None
    return text


def parse(text: str, path: str) -> tuple[Model, ...]:
    """Parses a model config, a ModelServerConfig in text format; `path` is for messages only.

    Raises:
        ServingError: the text is not a model config, or `models` refuses it.
    """
    try:
        config = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    except text_format.ParseError as error:
        raise invalid(f"{path}: not a model config: {error}") from None
    try:
        return models(config)
    except ServingError as error:
        raise ServingError(error.code, f"{path}: {error.message}") from None


def models(config: model_server_config_pb2.ModelServerConfig) -> tuple[Model, ...]:
    """Checks a model config and returns its models.

    Raises:
        ServingError: the config is not a model_config_list or names a model twice, or an entry has
            no name, no absolute base path, or a platform other than tensorflow.
    """
    if config.WhichOneof("config") != "model_config_list":
        raise invalid(
            "ServerModelConfig type not supported by HandleReloadConfigRequest."
            " Only ModelConfigList is currently supported"
        )
    found: dict[str, Model] = {}
    for entry in config.model_config_list.config:
        if entry.name in found:
            raise invalid(f"Illegal to list model {entry.name} multiple times in config list")
        if not entry.name:
            raise invalid("Expected a model config to have a name")
        if not re.match(r"/|[a-z0-9]+://", entry.base_path):
            raise invalid(
                f"Expected model {entry.name} to have an absolute path or URI;"
                f" got base_path()={entry.base_path}"
            )
        _check_platform(entry)
        found[entry.name] = Model(
            entry.name,
            entry.base_path.rstrip("/"),
            entry.model_version_policy,
            dict(entry.version_labels),
        )
    return tuple(found.values())


def _check_platform(entry: model_server_config_pb2.ModelConfig) -> None:
    legacy = entry.model_type == model_server_config_pb2.TENSORFLOW
    if legacy == bool(entry.model_platform):
        setting, joint = ("both", "and") if legacy else ("neither", "nor")
        raise invalid(
            f"Illegal setting {setting} ModelServerConfig::model_type (deprecated) {joint}"
            f" ModelServerConfig::model_platform, model name is {entry.name}"
        )
    if not legacy and entry.model_platform != "tensorflow":
        raise ServingError(
            StatusCode.FAILED_PRECONDITION,
            f"PlatformConfigMap has no entry for platform {entry.model_platform}",
        )
