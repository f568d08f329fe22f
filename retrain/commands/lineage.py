"""`retrain lineage`: tell what a version was made of, or where a span went."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from retrain.arguments import Commands, add_config, add_json, command
from retrain.environment import prepare_tensorflow
from retrain.exit_codes import DONE


def add(commands: Commands[ArgumentParser]) -> None:
    """Adds the command."""
    parser = command(
        commands, "lineage", _lineage, "tell what a version was made of, or where a span went"
    )
    add_config(parser)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("version", nargs="?", type=int, metavar="VERSION", help="a pushed version")
    which.add_argument("--span", type=int, metavar="N", help="tell the versions that hold a span")
    add_json(parser)


def _lineage(options: Namespace) -> int:
    from pipeline.config import load

    settings = load(options.config)
    prepare_tensorflow()
    from rich.console import Console

    from pipeline.history import lineage, runs

    history = runs.open_history(settings)
    if options.span is None:
        origin = lineage.of_version(settings, history, options.version)
        if options.json:
            print(lineage.as_json(origin))
        else:
            lineage.show(origin, Console())
        return DONE
    found = lineage.of_span(settings, history, options.span)
    if options.json:
        print(lineage.as_json(found))
    else:
        lineage.show_span(options.span, found, Console())
    return DONE
