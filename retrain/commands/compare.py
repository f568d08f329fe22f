"""`retrain compare`: compare two runs."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from retrain.arguments import A_RUN, Commands, add_config, add_json, command
from retrain.environment import prepare_tensorflow
from retrain.exit_codes import DONE


def add(commands: Commands[ArgumentParser]) -> None:
    """Adds the command."""
    parser = command(
        commands, "compare", _compare, "compare two runs: config, metrics, and images that changed"
    )
    add_config(parser)
    parser.add_argument("first", metavar="A", help=A_RUN)
    parser.add_argument("second", metavar="B", help="another one")
    add_json(parser)


def _compare(options: Namespace) -> int:
    from pipeline.config import load

    settings = load(options.config)
    prepare_tensorflow()
    from rich.console import Console

    from pipeline.history import comparison, runs

    history = runs.open_history(settings)
    first, second = (runs.find(history, name) for name in (options.first, options.second))
    found = comparison.compare(history, first, second)
    if options.json:
        print(comparison.as_json(found))
    else:
        comparison.show(found, Console())
    return DONE
