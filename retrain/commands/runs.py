"""List what ran here, how it ended and what drifted."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from retrain import arguments
from retrain.environment import prepare_tensorflow
from retrain.exit_codes import DONE


def add(parser: ArgumentParser) -> None:
    """Adds the command's options."""
    arguments.add(parser, "--config", "--json")


def act(options: Namespace) -> int:
    """Runs the command and returns its exit code."""
    from pipeline.config import load

    settings = load(options.config)
    prepare_tensorflow()
    from rich.console import Console

    from pipeline.history import runs

    found = runs.read(settings)
    if options.json:
        print(runs.as_json(found))
    else:
        runs.show(found, Console())
    return DONE
