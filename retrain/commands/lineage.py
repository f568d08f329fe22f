"""Tell what a version was made of, or where a span went."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from retrain import arguments, terminal
from retrain.environment import load_tensorflow
from retrain.exit_codes import DONE


def add(parser: ArgumentParser) -> None:
    """Adds the command's options."""
    arguments.add(parser, "--config", "--json")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("version", nargs="?", type=int, metavar="VERSION", help="a pushed version")
    which.add_argument("--span", type=int, metavar="N", help="tell the versions that hold a span")


def act(options: Namespace) -> int:
    """Runs the command and returns its exit code."""
    from pipeline.config import load

    settings = load(options.config)
    load_tensorflow()
    from pipeline.history import lineage, runs

    history = runs.open_history(settings)
    if options.span is None:
        origin = lineage.of_version(settings, history, options.version)
        if options.json:
            terminal.say(lineage.as_json(origin))
        else:
            lineage.show(origin, terminal.console())
        return DONE
    found = lineage.of_span(settings, history, options.span)
    if options.json:
        terminal.say(lineage.as_json(found))
    else:
        lineage.show_span(options.span, found, terminal.console())
    return DONE
