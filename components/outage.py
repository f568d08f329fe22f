"""What the machine did, as against the data or the model: the run fails, and nothing is judged."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import tensorflow as tf

AGAIN = "the model is not judged: run again"


class OutageError(RuntimeError):
    """The machine kept a component from its result; the message is one line with a way out.

    People read the message alone, without the traceback.
    """


@contextlib.contextmanager
def memory_is_the_machine_s(what: str) -> Iterator[None]:
    """Raises `OutageError` where a block runs out of memory; `what` is what the block does."""
    try:
        yield
    except (MemoryError, tf.errors.ResourceExhaustedError) as error:
        first = str(error).partition("\n")[0]
        raise OutageError(f"{what}: out of memory{first and f': {first}'}; {AGAIN}") from error
