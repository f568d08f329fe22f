"""The statistics store: a folder with the statistics of every span that passed the DataGate.

It outlives runs, so that a scheduled run can compare its span with the span before. A file appears
whole or not at all: it is written under a hidden name, then renamed.
"""

import hashlib
import os
import re

from tfx.dsl.io import fileio

_NAME = re.compile(r"span-(\d+)\.pb")


def spans(store: str) -> tuple[int, ...]:
    """Lists the numbers of the spans in a store, in order; none if it does not exist yet."""
    if not fileio.isdir(store):
        return ()
    names = (_NAME.fullmatch(name) for name in fileio.listdir(store))
    return tuple(sorted(int(name[1]) for name in names if name))


def before(store: str, span: int) -> int | None:
    """Returns the number of the last stored span before this one, or None."""
    return max((number for number in spans(store) if number < span), default=None)


def path(store: str, span: int) -> str:
    """Returns the file of a span's statistics."""
    return os.path.join(store, f"span-{span}.pb")


def digest(store: str, span: int) -> str:
    """Identifies the content of a span's statistics."""
    with fileio.open(path(store, span), "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def publish(statistics: str, store: str, span: int) -> None:
    """Copies a file of statistics into the store and replaces the span's earlier one."""
    fileio.makedirs(store)
    partial = os.path.join(store, f".span-{span}.partial")
    fileio.copy(statistics, partial, overwrite=True)
    fileio.rename(partial, path(store, span), overwrite=True)
