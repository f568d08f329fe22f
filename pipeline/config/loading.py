"""Reads config files: YAML and overrides in, a `Config` with absolute paths out."""

import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipeline.config import keys, messages
from pipeline.config.data import check_labels
from pipeline.config.error import ConfigError
from pipeline.config.root import Config
from pipeline.config.yaml_text import parse
from trainer.section import is_remote, shown

_MOST_LINES = 5


def load(path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Reads a config file.

    Args:
        path: the YAML file.
        overrides: settings that replace the file's, each as `section.key=value` with the value in
            YAML.

    Returns:
        The config; relative local paths are made absolute, from the current directory.

    Raises:
        ConfigError: the file or an override cannot be read, or has a value that is not allowed.
    """
    settings = _read(Path(path))
    overridden = {_override(settings, text) for text in overrides}
    resolved = resolve(validate(settings, str(path), overridden))
    # Validates again: the current directory, now in the paths, may have characters TFX refuses.
    return validate(resolved.model_dump(mode="json"), str(path), overridden)


def validate(settings: Mapping[str, Any], origin: str, overridden: Collection[str] = ()) -> Config:
    """Builds a config from plain settings.

    Args:
        settings: section -> key -> value, as YAML or JSON gives them.
        origin: name of the settings' source, such as the file, for messages.
        overridden: the dotted keys that come from `--set`, not from `origin`.

    Raises:
        ConfigError: a key is unknown or missing, or a value is not allowed. The message has one
            line for each such key.
    """
    try:
        return Config.model_validate(settings)
    except ValidationError as error:
        lines = list(messages.lines(error, origin, overridden))
    if len(lines) > _MOST_LINES:
        lines[_MOST_LINES:] = [f"{origin}: {len(lines) - _MOST_LINES} more such errors"]
    raise ConfigError("\n".join(lines))


def resolve(config: Config) -> Config:
    """Returns the config with its local paths made absolute."""
    data, backbone = config.data, config.backbone
    labels = _absolute(data.labels) if isinstance(data.labels, str) else data.labels
    data = data.model_copy(update={"root": _absolute(data.root), "labels": labels})
    if "/" in backbone.weights:
        backbone = backbone.model_copy(update={"weights": _absolute(backbone.weights)})
    if backbone.path is not None:
        backbone = backbone.model_copy(update={"path": _absolute(backbone.path)})
    push, output = config.push, _absolute(config.output)
    if push.model_store is not None:
        push = push.model_copy(update={"model_store": _absolute(push.model_store)})
    sections = {"data": data, "backbone": backbone, "push": push, "output": output}
    return config.model_copy(update=sections)


def check_weights(config: Config) -> None:
    """Checks that the backbone exists and can be trained, without loading TensorFlow.

    Raises:
        ConfigError: the file or folder does not exist, or fine-tuning is to train a SavedModel.
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
        ConfigError: see `read_label_file`; or spans bring label files of their own that differ.
    """
    labels = config.data.labels
    if isinstance(labels, tuple):
        return labels
    return read_label_file(labels or _label_file(config))


def _label_file(config: Config) -> str:
    """Returns `labels.txt` of the root or, without it, the file that TensorFlow Datasets writes."""
    root = config.data.root.rstrip("/")
    usual = f"{root}/labels.txt"
    if is_remote(root) or Path(usual).exists():
        return usual
    own = f"{config.data.features.label or ''}.labels.txt".replace("/", "_")
    found = [
        path for path in (Path(root) / own, *Path(root).glob(f"span-*/{own}")) if path.exists()
    ]
    if len({path.read_bytes() for path in found}) > 1:
        raise ConfigError(
            f"data.labels: {found[0]} differs from other spans'; allowed: one list for all, {usual}"
        )
    return str(found[0]) if found else usual


def read_label_file(path: str) -> tuple[str, ...]:
    """Returns the class names in a file with one name a line, in the order of their ids.

    Blanks around a name and blank lines at the end are ignored.

    Raises:
        ConfigError: the file is missing or is not text, it has fewer than two names, or a name is
            blank, unprintable or repeated.
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
    # Path.expanduser raises for an unknown user; os.path.expanduser returns the path as it is.
    return str(Path(os.path.expanduser(location)).absolute())  # noqa: PTH111


def _text(path: str) -> str:
    if not is_remote(path):
        return Path(path).read_text(encoding="utf-8-sig")
    # TensorFlow takes seconds to load, and only object stores need it.
    import tensorflow as tf

    try:
        with tf.io.gfile.GFile(path) as file:
            return str(file.read())
    except tf.errors.NotFoundError as error:
        raise FileNotFoundError(path) from error
    except tf.errors.OpError as error:
        raise OSError(error.message) from error


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
        raise ConfigError(f"{path}: found {found}; allowed: {keys.allowed(keys.schema())}")
    return settings


def _override(settings: dict[str, Any], text: str) -> str:
    """Writes one override into the settings and returns its dotted key."""
    dotted, equals, value = text.partition("=")
    path = dotted.strip().split(".")
    if not equals or not all(path):
        raise ConfigError(f"--set {text}: allowed: section.key=value, as in trainer.epochs=10")
    parent = settings
    for key in path[:-1]:
        if not isinstance(parent.get(key), dict):
            parent[key] = {}
        parent = parent[key]
    parent[path[-1]] = parse(value, f"--set {dotted}")
    return ".".join(path)
