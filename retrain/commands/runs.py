"""`retrain runs`: list what ran on this machine."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from retrain.arguments import Commands, add_config, add_json, command
from retrain.environment import prepare_tensorflow
from retrain.exit_codes import DONE


def add(commands: Commands[ArgumentParser]) -> None:
    """Adds the command."""
    parser = command(commands, "runs", _runs, "list what ran here, how it ended and what drifted")
    add_config(parser)
    add_json(parser)


def _runs(options: Namespace) -> int:
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
