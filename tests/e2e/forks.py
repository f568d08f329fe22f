"""Starts programs as forks of a process that has loaded TFX.

`retrain` and the tasks of a compiled pipeline spend most of a test's time on loading TFX, and a
fork starts with TFX loaded. It is a process of its own, with the command's arguments and
environment. `conftest.py` makes the first run, and `test_dockerfile.py` a task, with the command
that people and the cluster use.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

from kubeflow import entrypoint

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["tests.e2e.loaded", __name__])
COMMAND = ["python", "-m", "kubeflow.entrypoint"]

Main = Callable[[Sequence[str]], int]


@dataclass(frozen=True)
class Fork:
    """A process that runs a program; it leads a process group of its own.

    `Process.exitcode` is wrong at times: each start polls all other children, and if two threads
    poll the same child, one of them reads 255. So each status comes over its own pipe.
    """

    pid: int
    _told: Connection
    _keeper: BaseProcess

    def ended(self, seconds: float = 0) -> bool:
        """Tells whether the program ends within some seconds."""
        return self._told.poll(seconds)

    def wait(self) -> int:
        """Waits for the program's end, once; returns its exit code, or minus a signal's number."""
        with self._told:
            status = self._told.recv()
        self._keeper.join()
        return os.waitstatus_to_exitcode(status)


def start(
    main: Main, arguments: Sequence[str], variables: Mapping[str, str], output: Path, errors: Path
) -> Fork:
    """Starts a program in a fork, and appends what it prints to two files."""
    told, teller = _FORKS.Pipe(duplex=False)
    with teller:
        given = (main, list(arguments), dict(variables), output, errors, teller)
        keeper = _FORKS.Process(target=_keep, args=given)
        keeper.start()
    return Fork(told.recv(), told, keeper)


def run_task(command: Sequence[str], variables: Mapping[str, str], log: Path) -> int:
    """Runs a task to its end, and returns its exit code."""
    assert list(command[:3]) == COMMAND
    return start(entrypoint.main, command[3:], variables, log, log).wait()


def _keep(
    main: Main,
    arguments: Sequence[str],
    variables: Mapping[str, str],
    output: Path,
    errors: Path,
    teller: Connection,
) -> None:
    """Runs a program in a fork of this process, and tells its id and the status at its end."""
    child = os.fork()
    if child:
        os.setpgid(child, child)
        teller.send(child)
        teller.send(os.waitpid(child, 0)[1])
        return
    teller.close()
    for descriptor, file in ((1, output), (2, errors)):
        with file.open("ab") as stream:
            os.dup2(stream.fileno(), descriptor)
    os.environ.update(variables)
    sys.argv = [main.__module__, *arguments]
    try:
        sys.exit(main(arguments))
    finally:
        atexit._run_exitfuncs()  # which the end of a fork leaves out
