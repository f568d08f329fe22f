"""Options and types of arguments that several commands share. Nothing heavy is imported here."""

from __future__ import annotations

import argparse
from typing import Any

DEFAULT_CONFIG = "retrain.yaml"
_FEATURE_KEYS = ("image", "label", "text", "label_base")
A_RUN = "a run's id, or how it begins, or a version that it pushed"

_SETTING = {"action": "append", "default": [], "metavar": "KEY=VALUE"}
_SHARED: dict[str, dict[str, Any]] = {
    "--config": {
        "metavar": "FILE",
        "default": DEFAULT_CONFIG,
        "help": f"the config (default: {DEFAULT_CONFIG} in this folder)",
    },
    "--set": {
        **_SETTING,
        "help": "override a config key, such as trainer.epochs=5; may be given again",
    },
    "--parameter": {
        **_SETTING,
        "help": "give the compiled pipeline another value of a config key, such as data.span=3",
    },
    "--json": {"action": "store_true", "help": "print one JSON object"},
    "--host": {
        "metavar": "URL",
        "help": "Kubeflow Pipelines (default: KF_PIPELINES_ENDPOINT)",
    },
    "--namespace": {"help": "the profile's namespace, on a host with several users"},
}


def add(parser: argparse.ArgumentParser, *flags: str) -> None:
    """Adds shared options to a command's parser, by their flags, such as `--json`."""
    for flag in flags:
        parser.add_argument(flag, **_SHARED[flag])


def natural(text: str) -> int:
    """Parses the number of a span or a version: 0 or more.

    Raises:
        argparse.ArgumentTypeError: the text is no such number.
    """
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text} is not a number: 0, 1, 2, …")
    return int(text)


def positive(text: str) -> int:
    """Parses a whole number of 1 or more.

    Raises:
        argparse.ArgumentTypeError: the text is no such number.
    """
    number = natural(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return number


def features(text: str) -> dict[str, str]:
    """Parses names of features, such as `image=img,label=kind`.

    Raises:
        argparse.ArgumentTypeError: the text has another form or an unknown key.
    """
    pairs = [pair.partition("=") for pair in text.split(",")]
    if not all(key in _FEATURE_KEYS and name for key, _, name in pairs):
        raise argparse.ArgumentTypeError(
            f"{text} is not of the form KEY=NAME,... with the keys {', '.join(_FEATURE_KEYS)}"
        )
    return {key: name for key, _, name in pairs}
