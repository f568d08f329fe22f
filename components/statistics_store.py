"""The statistics store: a folder with a sample of every span that passed the DataGate.

The store outlives runs, so that a scheduled run can compare its span with the span before. A file
appears whole or not at all: it is written under a hidden name, then renamed.
"""

import hashlib
import os
import re

from tfx.dsl.io import fileio

_NAME = re.compile(r"span-(\d+)\.npz")


def spans(store: str) -> tuple[int, ...]:
    """Returns the sorted span numbers in a store; none if the store does not exist yet."""
    if not fileio.isdir(store):
        return ()
    names = (_NAME.fullmatch(name) for name in fileio.listdir(store))
    return tuple(sorted(int(name[1]) for name in names if name))


def before(store: str, span: int) -> int | None:
    """Returns the highest stored span number below `span`; None if there is none."""
    return max((number for number in spans(store) if number < span), default=None)


def path(store: str, span: int) -> str:
    """Returns the path of a span's sample in the store."""
    return os.path.join(store, f"span-{span}.npz")


def digest(store: str, span: int) -> str:
    """Returns the SHA-256 digest of a span's sample in the store."""
    with fileio.open(path(store, span), "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def publish(sample: str, store: str, span: int) -> None:
    """Copies the file of a sample into the store, replacing an earlier file of the same span."""
    fileio.makedirs(store)
    partial = os.path.join(store, f".span-{span}.partial")
    fileio.copy(sample, partial, overwrite=True)
    fileio.rename(partial, path(store, span), overwrite=True)
