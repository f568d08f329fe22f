"""`retrain run`: run the pipeline on this machine."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace

from retrain.arguments import Commands, add_config, add_json, add_overrides, command
from retrain.environment import prepare_tensorflow
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
    from pipeline import config
    from pipeline.data import spans

    settings = config.load(options.config, options.set)
    config.check_weights(settings)
    prepare_tensorflow()
    span = spans.check(settings)
    labels = config.read_labels(settings)

    from rich.console import Console

    from pipeline.local import logs, progress, summary

    log = logs.new(settings.output)
    logs.capture_shutdown(log)
    with os.fdopen(os.dup(2), "w") as terminal, logs.captured(log):
        console = Console(file=terminal)
        console.print(f"{settings.name}: span {span.number} of {settings.data.root}", markup=False)
        console.print(f"log: {log}", markup=False, highlight=False, soft_wrap=True)
        with progress.spinning(console, "loading TFX"):
            from pipeline.local import run
        outcome = run.run(
            settings,
            span,
            labels,
            options.runner,
            log=str(log),
            watch=lambda components: progress.shown(console, components),
        )
    if options.json:
        print(summary.as_json(outcome))
    else:
        summary.show(outcome, Console())
    return DONE if outcome.verdict == "pushed" else REFUSED
