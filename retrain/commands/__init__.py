"""The commands of `retrain`, one a file: what a command takes and what it does."""

from __future__ import annotations

from argparse import ArgumentParser

from retrain.arguments import Commands
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
    tensorboard,
    watch,
)

# In the order of the help: as a person meets them.
_ALL = (
    init,
    ingest,
    run,
    runs,
    report,
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


def add(commands: Commands[ArgumentParser]) -> None:
    """Adds every command to the command line."""
    for each in _ALL:
        each.add(commands)
