"""Runs a command in a process of its own and measures it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_INTERRUPTS = {signal.SIGINT, signal.SIGTERM}


class LaunchError(RuntimeError):
    """The command failed; the message ends with the last lines that the command printed."""


@dataclass(frozen=True)
class Measured:
    """Time and memory that one process took, start-up of Python included."""

    seconds: float  # from its start to its end
    cpu_seconds: float  # of the process and its children, all cores together
    peak_bytes: int  # peak resident memory of the largest among the process and its children
    answer: dict[str, Any]  # the JSON object in the last line printed; {} if nothing was printed


def python(
    arguments: Sequence[str], environment: Mapping[str, str], where: Path, log: Path
) -> Measured:
    """Runs this Python with the arguments in the folder `where` and waits for its end.

    `environment` is added to this process's own. Standard error is written to `log`, whose folder
    is created if needed; standard output to a file beside it that ends in `.out`.

    Raises:
        LaunchError: the exit code is not 0.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    printed = log.with_suffix(".out")
    with log.open("wb") as error, printed.open("wb") as output:
        # An interrupt waits until there is a process that it can end.
        signal.pthread_sigmask(signal.SIG_BLOCK, _INTERRUPTS)
        started = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, *arguments],
            stdout=output,
            stderr=error,
            env={**os.environ, **environment},
            cwd=where,
            start_new_session=True,
            preexec_fn=_take_interrupts,  # noqa: PLW1509, no other thread runs here
        )
        try:
            _take_interrupts()
            # Unlike Popen.wait, this returns the time and memory that this one child used.
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            # The child has nothing to save: all that it wrote is about to be removed.
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.killpg(process.pid, signal.SIGKILL)
                os.wait4(process.pid, 0)
            raise
        seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    text = printed.read_text("utf-8", "replace").strip()
    if process.returncode:
        tail = "\n".join((text + "\n" + log.read_text("utf-8", "replace")).splitlines()[-30:])
        raise LaunchError(f"{' '.join(arguments[:2])} ended with {process.returncode}:\n{tail}")
    last = text.rpartition("\n")[2]
    return Measured(
        seconds=seconds,
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        peak_bytes=usage.ru_maxrss * 1024,  # Linux counts in KiB
        answer=json.loads(last) if last else {},
    )


def _take_interrupts() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _INTERRUPTS)
