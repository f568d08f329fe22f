"""The commands of `retrain`, one a file: what a command takes and what it does."""

from __future__ import annotations

import argparse

from retrain.commands import (
    compare,
    compile,
    ingest,
    init,
    lineage,
    predict,
    report,
    rollback,
    run,
    runs,
    schedule,
    serve,
    submit,
    suspects,
    tensorboard,
    watch,
)

# In the order of the help: as a user needs them one after the other.
_ALL = (
    init,
    ingest,
    run,
    runs,
    report,
    suspects,
    lineage,
    compare,
    tensorboard,
    serve,
    predict,
    rollback,
    compile,
    submit,
    schedule,
    watch,
)

NAMES = tuple(module.__name__.rpartition(".")[2] for module in _ALL)


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds every command to the command line; a command's docstring is its help."""
    for name, module in zip(NAMES, _ALL, strict=True):
        text = (module.__doc__ or "").strip()
        first = text.partition("\n")[0].rstrip(".")
        parser = commands.add_parser(
            name,
            help=f"{first[:1].lower()}{first[1:]}",
            description=text,
        )
        parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
        module.add(parser)
        parser.set_defaults(command=module.act)
