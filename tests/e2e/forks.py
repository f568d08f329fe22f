"""Starts tasks of a compiled pipeline as forks of a process that has loaded TFX.

A task spends most of its time on loading TFX, and a fork starts with TFX loaded. It is a process of
its own, with the command's arguments and environment. `test_dockerfile.py` starts a task with the
command of the YAML.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path

from kubeflow import entrypoint

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(
    [
        "tfx.orchestration.kubeflow.v2.container.kubeflow_v2_run_executor",
        "pipeline.graph.build",
        "kubeflow.compile",
        __name__,
    ]
)
COMMAND = ["python", "-m", "kubeflow.entrypoint"]


def start(command: Sequence[str], variables: Mapping[str, str], log: Path) -> int:
    """Runs a task in a fork, and returns its exit code.

    `Process.exitcode` is wrong at times: each start polls all other children, and if two threads
    poll the same child, one of them reads 255. So each task's status comes over its own pipe.
    """
    assert list(command[:3]) == COMMAND
    receiver, sender = _FORKS.Pipe(duplex=False)
    with receiver:
        with sender:
            arguments = (command[3:], dict(variables), log, sender)
            process = _FORKS.Process(target=_wait_for_task, args=arguments)
            process.start()
        status = receiver.recv()
    process.join()
    return os.waitstatus_to_exitcode(status)


def _wait_for_task(
    arguments: Sequence[str], variables: Mapping[str, str], log: Path, sender: Connection
) -> None:
    """Runs a task in a fork of this process, and sends the status that the system reports."""
    child = os.fork()
    if child:
        sender.send(os.waitpid(child, 0)[1])
        return
    sender.close()
    with log.open("ab") as output:
        for descriptor in (1, 2):
            os.dup2(output.fileno(), descriptor)
    os.environ.update(variables)
    sys.exit(entrypoint.main(arguments))
