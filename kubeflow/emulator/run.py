"""Runs a pipeline's tasks in order, with retries and the cache, as Argo and the driver do.

Independent tasks run side by side, each as a process with the command and arguments of the YAML.
The emulator ignores images and resources, and keeps a container's artifacts below the folder of
that container instead of `/minio`, `/s3` and `/gcs`.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from kubeflow import acceptance
from kubeflow.emulator import driver
from kubeflow.emulator.container import Container, Start, TaskFailedError, launch, process
from kubeflow.emulator.store import Store, fingerprint

Json = dict[str, Any]

# The default of config/env.go.
_PIPELINE_ROOT = "minio://mlpipeline/v2/artifacts"

SUCCEEDED, CACHED, FAILED, OMITTED = "succeeded", "cached", "failed", "omitted"


class BusyError(RuntimeError):
    """Another run uses the folder."""


@dataclass(frozen=True)
class TaskRun:
    """The result of one task."""

    task: str  # the task's name
    state: str  # SUCCEEDED, CACHED, FAILED, or OMITTED: not started, because another task failed
    tries: int = 0  # how often the emulator started the task's process
    seconds: float = 0.0  # wall-clock time of all tries and the waits between them
    reason: str = ""  # one line that explains a failure
    log: str | None = None  # the file that holds what the process printed, if one started
    artifacts: Mapping[str, str] | None = None  # output name -> URI


def run(
    text: str,
    folder: Path,
    parameters: Mapping[str, Any],
    watch: Callable[[TaskRun], None] = lambda _: None,
    start: Start = process,
) -> tuple[TaskRun, ...]:
    """Runs a compiled pipeline to its end.

    Args:
        text: the compiled pipeline, in YAML.
        folder: where the store and the logs of all runs are kept.
        parameters: the runtime parameters that differ from their defaults.
        watch: called with the result of each task when the task ends.
        start: runs a task's command; see `container.Start`.

    Returns:
        The result of every task, in the order in which the tasks ended.

    Raises:
        UnacceptableError: the cluster would refuse the pipeline, or the emulator cannot run it.
        ParameterError: the cluster would refuse the parameters.
        BusyError: another run uses the folder.
    """
    spec, *rest = (document for document in yaml.safe_load_all(text) if document)
    acceptance.check(spec, *rest)
    _check_supported(spec)
    values = driver.root_parameters(spec, parameters)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BusyError(f"another run uses {folder}") from None
        return _Run(spec, folder, values, start).execute(watch)


def _check_supported(spec: Json) -> None:
    """Refuses features that the emulator lacks, because this project never compiles them."""
    for name, task in spec["root"]["dag"]["tasks"].items():
        container = _executor(spec, task).get("container", {})
        parts = [*container.get("command", []), *container.get("args", [])]
        if not container or "triggerPolicy" in task or any("{{$." in part for part in parts):
            raise acceptance.UnacceptableError(
                f"task {name}: the dry run runs containers only, without conditions, and knows no"
                " placeholder but {{$}}"
            )


def _executor(spec: Json, task: Json) -> Json:
    label = spec["components"][task["componentRef"]["name"]]["executorLabel"]
    executor: Json = spec["deploymentSpec"]["executors"][label]
    return executor


class _Run:
    """One run of a pipeline, and the outputs of the tasks that have succeeded so far."""

    def __init__(self, spec: Json, folder: Path, parameters: Json, start: Start) -> None:
        self._spec = spec
        self._start = start
        self._tasks: Json = spec["root"]["dag"]["tasks"]
        self._parameters = parameters
        run = f"{time.strftime('%Y%m%d-%H%M%S')}-{uuid.uuid4().hex[:6]}"
        self._uri = f"{_PIPELINE_ROOT}/{spec['pipelineInfo']['name']}/{run}"
        self._folder = folder / "runs" / run
        self._store = Store(folder)
        # task -> {"artifacts": {output: id}, "parameters": {output: value}}
        self._outputs: Json = {}
        self._interrupted = threading.Event()

    def execute(self, watch: Callable[[TaskRun], None]) -> tuple[TaskRun, ...]:
        """Runs each task once all tasks before it succeeded; compiler/argocompiler/dag.go.

        Argo's DAGs fail fast: after a failure no further task starts, and running tasks finish.
        """
        order = acceptance.order(self._tasks)
        done: dict[str, TaskRun] = {}
        running: set[Future[TaskRun]] = set()

        def end(task: TaskRun) -> None:
            done[task.task] = task
            watch(task)

        # Argo runs independent tasks side by side, even on one CPU.
        workers = max(2, os.cpu_count() or 1)
        with ThreadPoolExecutor(workers) as pool:
            try:
                while True:
                    if not any(task.state == FAILED for task in done.values()):
                        ready = sorted(order.get_ready())
                        running |= {pool.submit(self._task, name) for name in ready}
                    if not running:
                        break
                    finished, running = wait(running, return_when=FIRST_COMPLETED)
                    for future in finished:
                        end(future.result())
                        order.done(future.result().task)
            except BaseException:
                # An interrupt ends the waits for another try, and no further task starts.
                self._interrupted.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        for name in sorted(self._tasks.keys() - done.keys()):
            end(TaskRun(name, OMITTED))
        return tuple(done.values())

    def _task(self, name: str) -> TaskRun:
        start = time.monotonic()
        folder = self._folder / name
        log = folder / "log.txt"
        try:
            folder.mkdir(parents=True)
            state, tries, reason = self._drive(name, folder / "container", log)
        except ValueError as error:
            state, tries, reason = FAILED, 0, str(error)
        except Exception as error:
            # Tasks that run beside this one finish, whatever the error is.
            state, tries, reason = FAILED, 0, traceback.format_exception_only(error)[-1].strip()
        finally:
            shutil.rmtree(folder / "container", ignore_errors=True)
        artifacts = {
            key: self._store.artifact(artifact)["uri"]
            for key, artifact in self._outputs.get(name, {}).get("artifacts", {}).items()
        }
        seconds, printed = round(time.monotonic() - start, 2), str(log) if log.exists() else None
        return TaskRun(name, state, tries, seconds, reason, printed, artifacts)

    def _drive(self, name: str, root: Path, log: Path) -> tuple[str, int, str]:
        """Runs a task unless cached; returns state, tries, reason; driver/driver.go: Container."""
        task = self._tasks[name]
        component = self._spec["components"][task["componentRef"]["name"]]
        spec = _executor(self._spec, task)["container"]
        inputs = driver.inputs(task, component, self._parameters, self._outputs, self._store)
        outputs = driver.outputs(component, f"{self._uri}/{name}", root)
        key = None
        if task.get("cachingOptions", {}).get("enableCache"):
            declared = component.get("outputDefinitions", {}).get("parameters", {})
            types = {parameter: of["parameterType"] for parameter, of in declared.items()}
            key = fingerprint(inputs, outputs, types, spec)
            cached = self._store.cached(key)
            if cached is not None:
                self._outputs[name] = cached
                return CACHED, 0, ""
        container = Container(spec, inputs, outputs, root, log)
        tries, reason = 0, ""
        for seconds in _waits(task.get("retryPolicy", {})):
            if self._interrupted.wait(seconds):
                break
            tries += 1
            try:
                self._outputs[name] = launch(container, self._store, self._start)
            except (TaskFailedError, ValueError, OSError) as error:
                reason = str(error)
                continue
            if key is not None:
                self._store.keep(key, self._outputs[name])
            return SUCCEEDED, tries, ""
        return FAILED, tries, reason


def _waits(policy: Json) -> Iterator[float]:
    """Yields the seconds before each try; compiler/argocompiler/container.go: getTaskRetryStrategy.

    Argo starts no try after `backoffMaxDuration`, counted from the first try
    (argo-workflows, workflow/controller/operator.go: processNodeRetries).
    """
    start = time.monotonic()
    first, longest = (policy.get(f"backoff{of}Duration") for of in ("", "Max"))
    yield 0
    for number in range(policy.get("maxRetryCount", 0)):
        if longest is not None and time.monotonic() - start > _seconds(longest):
            return
        yield _seconds(first or "0s") * (int(policy.get("backoffFactor", 0)) or 1) ** number


def _seconds(duration: str) -> float:
    return float(duration.removesuffix("s"))
