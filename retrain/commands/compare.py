"""Compare two runs: config, metrics, and images that changed."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from retrain import arguments, terminal
from retrain.arguments import A_RUN
from retrain.environment import load_tensorflow
from retrain.exit_codes import DONE


def add(parser: ArgumentParser) -> None:
    """Adds the command's options."""
    arguments.add(parser, "--config", "--json")
    parser.add_argument("first", metavar="A", help=A_RUN)
    parser.add_argument("second", metavar="B", help="another one")


def act(options: Namespace) -> int:
    """Runs the command and returns its exit code."""
    from pipeline.config import load

    settings = load(options.config)
    load_tensorflow()
    from pipeline.history import comparison, runs

    history = runs.open_history(settings)
    first, second = (runs.find(history, name) for name in (options.first, options.second))
    found = comparison.compare(history, first, second)
    if options.json:
        terminal.say(comparison.as_json(found))
    else:
        comparison.show(found, terminal.console())
    return DONE
