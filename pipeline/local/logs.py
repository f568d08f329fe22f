"""The log of a run: a file with all output of the process, including that of C++ code."""

import atexit
import contextlib
import datetime
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO


def new(output: str) -> Path:
    """Creates the folder `logs` in `output`; returns the log's path for a run that starts now."""
    folder = Path(output, "logs")
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{datetime.datetime.now():%Y%m%d-%H%M%S}.log"


def capture_shutdown(log: Path) -> None:
    """Redirects standard error into the log while the interpreter shuts down.

    TensorFlow then warns of each graph function that TensorFlow Transform and TFMA have cached.
    """
    atexit.register(_redirect, log)


def _redirect(log: Path) -> None:
    sys.stderr.flush()
    with log.open("ab") as file:
        os.dup2(file.fileno(), 2)


@contextlib.contextmanager
def captured(log: Path) -> Iterator[None]:
    """Redirects standard output and standard error, also of C++ code, into a file."""
    sys.stdout.flush()
    sys.stderr.flush()
    saved = [os.dup(descriptor) for descriptor in (1, 2)]
    with log.open("ab") as file:
        for descriptor in (1, 2):
            os.dup2(file.fileno(), descriptor)
        try:
            yield
        finally:
            for stream, descriptor, original in zip(
                (sys.stdout, sys.stderr), (1, 2), saved, strict=True
            ):
                _flush(stream, descriptor)
                os.dup2(original, descriptor)
                os.close(original)


def _flush(stream: TextIO, descriptor: int) -> None:
    """Writes what a stream holds back; on a full disk, drops it, so that no terminal gets it."""
    try:
        stream.flush()
    except OSError:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), descriptor)
        with contextlib.suppress(OSError):
            stream.flush()
