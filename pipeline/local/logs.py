"""The log of a run: a file that takes all that is printed, by C++ too."""

import atexit
import contextlib
import datetime
import os
import sys
from collections.abc import Iterator
from pathlib import Path


def new(output: str) -> Path:
    """Makes the folder of logs, and returns the path of the log of a run that starts now."""
    folder = Path(output, "logs")
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{datetime.datetime.now():%Y%m%d-%H%M%S}.log"


def capture_shutdown(log: Path) -> None:
    """Sends what the interpreter prints to standard error while it shuts down into the log.

    TensorFlow Transform and TFMA cache graph functions. TensorFlow warns of each one that outlives
    its own modules.
    """
    atexit.register(_redirect, log)


def _redirect(log: Path) -> None:
    sys.stderr.flush()
    with log.open("ab") as file:
        os.dup2(file.fileno(), 2)


@contextlib.contextmanager
def captured(log: Path) -> Iterator[None]:
    """Sends standard output and standard error into a file, what C++ code prints too."""
    sys.stdout.flush()
    sys.stderr.flush()
    saved = [os.dup(descriptor) for descriptor in (1, 2)]
    with log.open("ab") as file:
        for descriptor in (1, 2):
            os.dup2(file.fileno(), descriptor)
        try:
            yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for descriptor, original in zip((1, 2), saved, strict=True):
                os.dup2(original, descriptor)
                os.close(original)
