"""Reads config files: YAML and overrides in, a `Config` with absolute paths out."""

import os
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from pipeline.config import messages
from pipeline.config.data import check_labels
from pipeline.config.error import ConfigError
from pipeline.config.root import Config
from trainer.section import is_remote, shown

_MOST_LINES = 5


def load(path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Reads a config file.

    Args:
        path: the YAML file.
        overrides: settings that come before the file's, each as `section.key=value` with the
            value in YAML.

    Returns:
        The config, its local paths made absolute: relative ones start at the current directory.

    Raises:
        ConfigError: the file or an override cannot be read or says what is not allowed.
    """
    settings = _read(Path(path))
    overridden = {_override(settings, text) for text in overrides}
    resolved = resolve(validate(settings, str(path), overridden))
    # Once more, as the current directory may have put characters into paths that are not allowed.
    return validate(resolved.model_dump(mode="json"), str(path), overridden)


def validate(settings: Mapping[str, Any], origin: str, overridden: Collection[str] = ()) -> Config:
    """Makes a config of plain settings.

    Args:
        settings: section -> key -> value, as YAML or JSON gives them.
        origin: where they come from, for messages.
        overridden: the dotted keys that come from `--set` instead.

    Raises:
        ConfigError: a key is unknown or missing, or a value is not allowed; one line for each.
    """
    try:
        return Config.model_validate(settings)
    except ValidationError as error:
        lines = list(messages.lines(error, origin, overridden))
    if len(lines) > _MOST_LINES:
        lines[_MOST_LINES:] = [f"{origin}: {len(lines) - _MOST_LINES} more such errors"]
    raise ConfigError("\n".join(lines))


def resolve(config: Config) -> Config:
    """Makes the local paths in a config absolute."""
    data, backbone = config.data, config.backbone
    labels = _absolute(data.labels) if isinstance(data.labels, str) else data.labels
    data = data.model_copy(update={"root": _absolute(data.root), "labels": labels})
    if "/" in backbone.weights:
        backbone = backbone.model_copy(update={"weights": _absolute(backbone.weights)})
    if backbone.path is not None:
        backbone = backbone.model_copy(update={"path": _absolute(backbone.path)})
    push = config.push
    if push.model_store is not None:
        push = push.model_copy(update={"model_store": _absolute(push.model_store)})
    return config.model_copy(
        update={
            "data": data,
            "backbone": backbone,
            "push": push,
            "output": _absolute(config.output),
        }
    )


def check_weights(config: Config) -> None:
    """Refuses a backbone that is not there or cannot learn, before anything heavy is loaded.

    Raises:
        ConfigError: there is no such file or folder, or it is a SavedModel that is to be trained.
    """
    path = config.backbone.path
    if path is not None and config.trainer.mode == "finetune" and not path.endswith(".keras"):
        raise ConfigError(
            f"backbone.path: found {path}, which cannot be trained; allowed: a .keras file, or"
            " trainer.mode head"
        )
    if path is not None and not is_remote(path) and not Path(path).exists():
        raise ConfigError(f"backbone.path: there is no {path}")
    weights = config.backbone.weights
    if "/" in weights and not is_remote(weights) and not Path(weights).is_file():
        raise ConfigError(f"backbone.weights: there is no file {weights}")


def read_labels(config: Config) -> tuple[str, ...]:
    """Returns the class names, in the order of their ids.

    Raises:
        ConfigError: as `read_label_file` does.
    """
    labels = config.data.labels
    if isinstance(labels, tuple):
        return labels
    return read_label_file(labels or f"{config.data.root.rstrip('/')}/labels.txt")


def read_label_file(path: str) -> tuple[str, ...]:
    """Returns the class names of a file that has one a line, in the order of their ids.

    Blanks around a name and blank lines at the end do not count.

    Raises:
        ConfigError: the file is missing or no text, or holds fewer than two names, a blank one or
            one twice.
    """
    try:
        names = tuple(line.strip() for line in _text(path).rstrip().splitlines())
    except FileNotFoundError:
        raise ConfigError(
            f"data.labels: {path} does not exist; allowed: a file with one class name a line,"
            " or the list of names itself"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"data.labels: {path} cannot be read: {error}") from error
    try:
        return check_labels(names)
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from error


def _absolute(location: str) -> str:
    if is_remote(location):
        return location.rstrip("/")
    # Path.expanduser raises where there is no such user, this one leaves the path as it is.
    return str(Path(os.path.expanduser(location)).absolute())  # noqa: PTH111


def _text(path: str) -> str:
    if not is_remote(path):
        return Path(path).read_text(encoding="utf-8-sig")
    # Heavy, so only where nothing else in the stack can read the file.
    import tensorflow as tf

    try:
        with tf.io.gfile.GFile(path) as file:
            return str(file.read())
    except tf.errors.NotFoundError as error:
        raise FileNotFoundError(path) from error
    except tf.errors.OpError as error:
        raise OSError(error.message) from error


class _Loader(yaml.SafeLoader):
    """YAML's safe subset, where a key that stands twice in a mapping is an error."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise yaml.composer.ComposerError(
                        problem=f"key {key.value} stands twice", problem_mark=key.start_mark
                    )
                seen.add(key.value)
        return node


# PyYAML follows YAML 1.1, in which 1e-3 is text as it has no dot; YAML 1.2 reads it as a number.
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+$"),
    list("-+0123456789."),
)


def parse(text: str, origin: str) -> Any:
    """Parses YAML as config files are read: no key twice, 1e-3 is a number.

    Raises:
        ConfigError: it is not YAML.
    """
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        line = f" at line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigError(f"{origin}: not YAML{line}: {error.problem}") from error
    except (yaml.YAMLError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{origin}: not YAML: {reason}") from error


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: there is no such file; retrain init writes a config to start from"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(f"{path}: cannot be read: {reason}") from error
    settings = parse(text, str(path))
    if not isinstance(settings, dict):
        found = "nothing" if settings is None else shown(settings)
        raise ConfigError(f"{path}: found {found}; allowed: {messages.allowed(messages.schema())}")
    return settings


def _override(settings: dict[str, Any], text: str) -> str:
    """Puts one override into the settings that were read; returns its dotted key."""
    dotted, equals, value = text.partition("=")
    keys = dotted.strip().split(".")
    if not equals or not all(keys):
        raise ConfigError(f"--set {text}: allowed: section.key=value, as in trainer.epochs=10")
    parent = settings
    for key in keys[:-1]:
        if not isinstance(parent.get(key), dict):
            parent[key] = {}
        parent = parent[key]
    parent[keys[-1]] = parse(value, f"--set {dotted}")
    return ".".join(keys)
