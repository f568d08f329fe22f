"""`retrain run`: run the pipeline on this machine."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace

import retrain
from retrain.arguments import Commands, add_config, add_json, add_overrides, command
from retrain.exit_codes import DONE, REFUSED


def add(commands: Commands[ArgumentParser]) -> None:
    """Adds the command."""
    parser = command(commands, "run", _run, "run the pipeline on this machine")
    add_config(parser)
    parser.add_argument(
        "--runner", choices=("beam", "local"), default="beam", help="TFX's runner (default: beam)"
    )
    add_overrides(parser)
    add_json(parser)


def _run(options: Namespace) -> int:
    config = retrain.load_config(options.config, options.set)
    # The run sends standard error into its log; the progress goes on to the terminal.
    with os.fdopen(os.dup(2), "w") as terminal:
        outcome = retrain.run(config, runner=options.runner, progress=terminal)
    from rich.console import Console

    from pipeline.local import summary

    if options.json:
        print(summary.as_json(outcome))
    else:
        summary.show(outcome, Console())
    return DONE if outcome.verdict == "pushed" else REFUSED
