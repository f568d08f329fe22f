"""What several commands take on the command line. Nothing heavy is imported here."""

from __future__ import annotations

import argparse
from collections.abc import Callable

DEFAULT_CONFIG = "retrain.yaml"
A_RUN = "a run's id, or how it begins, or a version that it pushed"

Commands = argparse._SubParsersAction  # of ArgumentParser; argparse names no public type
Action = Callable[[argparse.Namespace], int]


def command(
    commands: Commands[argparse.ArgumentParser],
    name: str,
    action: Action,
    text: str,
    description: str | None = None,
) -> argparse.ArgumentParser:
    """Adds a command to the command line.

    Args:
        commands: the command line's.
        name: what people type.
        action: does the command; returns one of `retrain.exit_codes`.
        text: what it does, a few words without a capital or a full stop.
        description: sentences for the command's own help; made of `text` by default.
    """
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=text, description=description or f"{text[0].upper()}{text[1:]}."
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser.set_defaults(command=action)
    return parser


def add_config(parser: argparse.ArgumentParser, default: str | None = DEFAULT_CONFIG) -> None:
    """Adds `--config`; a default of None tells the command whether it was given."""
    parser.add_argument(
        "--config",
        metavar="FILE",
        default=default,
        help=f"the config (default: {DEFAULT_CONFIG} in this folder)",
    )


def add_overrides(parser: argparse.ArgumentParser) -> None:
    """Adds `--set`."""
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="override a config key, such as trainer.epochs=5; may be given again",
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """Adds `--json`."""
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def add_host(parser: argparse.ArgumentParser) -> None:
    """Adds the options that name a Kubeflow Pipelines host."""
    parser.add_argument(
        "--host", metavar="URL", help="Kubeflow Pipelines (default: KF_PIPELINES_ENDPOINT)"
    )
    parser.add_argument("--namespace", help="the profile's namespace, on a host with several users")


def add_parameters(parser: argparse.ArgumentParser) -> None:
    """Adds `--parameter`."""
    parser.add_argument(
        "--parameter",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="give the compiled pipeline another value of a config key, such as data.span=3",
    )


def natural(text: str) -> int:
    """Reads a number of a span or a version.

    Raises:
        argparse.ArgumentTypeError: the text is no such number.
    """
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text} is not a number: 0, 1, 2, …")
    return int(text)


def positive(text: str) -> int:
    """Reads a number of 1 or more.

    Raises:
        argparse.ArgumentTypeError: the text is no such number.
    """
    number = natural(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return number


def share(text: str) -> float:
    """Reads a share between 0 and 1.

    Raises:
        argparse.ArgumentTypeError: the text is no such share.
    """
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a share between 0 and 1")
    return number
