"""List what ran here, how it ended and what drifted."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from retrain import arguments, terminal
from retrain.environment import load_tensorflow
from retrain.exit_codes import DONE


def add(parser: ArgumentParser) -> None:
    """Adds the command's options."""
    arguments.add(parser, "--config", "--json")


def act(options: Namespace) -> int:
    """Runs the command and returns its exit code."""
    from pipeline.config import load

    settings = load(options.config)
    load_tensorflow()
    from pipeline.history import runs

    found = runs.read(settings)
    if options.json:
        terminal.say(runs.as_json(found))
    else:
        runs.show(found, terminal.console())
    return DONE
