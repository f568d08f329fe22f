"""Run the pipeline on this machine."""

from __future__ import annotations

import os
import re
import sys
from argparse import ArgumentParser, Namespace

import retrain
from retrain import arguments, terminal
from retrain.exit_codes import DONE, REFUSED


def add(parser: ArgumentParser) -> None:
    """Adds the command's options."""
    arguments.add(parser, "--config", "--set", "--json")
    parser.add_argument(
        "--runner", choices=("beam", "local"), default="beam", help="TFX's runner (default: beam)"
    )


def act(options: Namespace) -> int:
    """Runs the command and returns its exit code."""
    from pipeline.config import ConfigError

    config = retrain.load_config(options.config, options.set)
    # A run redirects standard error into its log; this copy of it still leads to the terminal.
    encoding = sys.stderr.encoding
    with os.fdopen(os.dup(2), "w", encoding=encoding, errors="backslashreplace") as progress:
        try:
            outcome = retrain.run(config, runner=options.runner, progress=progress)
        except ConfigError as error:
            # A message about a key says in which file it stands, like those of `load_config`.
            if re.match(r"data\.|backbone\.|output:", str(error)):
                raise ConfigError(f"{options.config}: {error}") from error
            raise
    from pipeline.local import summary

    if options.json:
        terminal.say(summary.as_json(outcome))
    else:
        summary.show(outcome, terminal.console())
    return DONE if outcome.verdict == "pushed" else REFUSED
