"""Executes a compiled pipeline on this machine the way open-source Kubeflow Pipelines does.

It reads only the YAML, so that what runs here is what runs there: tasks in the order of the graph
and side by side where it allows, each a process with the command and arguments of the YAML, inputs
and outputs copied through an object store, an equal step taken from an earlier run. What the
cluster refuses is refused (`kubeflow.acceptance`). It knows neither images nor resources, and has
the artifacts of a container under the container's own folder instead of `/minio`, `/s3`, `/gcs`.

Here is the order of things, which is Argo's there; `kubeflow.local_driver` and
`kubeflow.local_container` have what happens for one task. The files named below are those of
kubeflow/pipelines, release 2.5.0, below backend/src/v2.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import fcntl
import os
import shutil
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from kubeflow import acceptance, conditions, local_container, local_driver
from kubeflow.local_store import Metadata, ObjectStore, fingerprint

Json = dict[str, Any]

# config/env.go
_PIPELINE_ROOT = "minio://mlpipeline/v2/artifacts"

SUCCEEDED, CACHED, FAILED, SKIPPED, OMITTED = "succeeded", "cached", "failed", "skipped", "omitted"
_GOES_ON = (SUCCEEDED, CACHED)


class BusyError(RuntimeError):
    """Another run is using the folder."""


@dataclass(frozen=True)
class TaskRun:
    """How a task of a run ended.

    Attributes:
        task: its name.
        state: "succeeded", "cached", "failed", "skipped" (by its condition), "omitted" (as what
            it waits for did not succeed).
        tries: how often its process was started.
        seconds: how long it took.
        reason: one line; empty unless it failed.
        log: the file with what its process printed; None if there was none.
        artifacts: output name -> URI.
    """

    task: str
    state: str
    tries: int = 0
    seconds: float = 0.0
    reason: str = ""
    log: str | None = None
    artifacts: Mapping[str, str] | None = None


def run(
    text: str,
    folder: Path,
    parameters: Mapping[str, Any],
    watch: Callable[[TaskRun], None] = lambda _: None,
    pipeline_root: str | None = None,
    start: local_container.Start = local_container.process,
) -> tuple[TaskRun, ...]:
    """Runs a compiled pipeline to its end.

    Args:
        text: the YAML.
        folder: where object store, metadata and the runs' logs are kept, from run to run.
        parameters: runtime parameters that differ from their defaults.
        watch: is told of each task when it ends.
        pipeline_root: URI below which artifacts go; the cluster's default by default.
        start: how a task's command is run.

    Returns:
        Every task, in the order in which they ended.

    Raises:
        RefusedError: the cluster would refuse the pipeline.
        ParameterError: it would refuse the parameters.
        BusyError: another run is using the folder.
    """
    spec, *rest = (document for document in yaml.safe_load_all(text) if document)
    acceptance.check(spec, *rest)
    values = local_driver.root_parameters(spec, parameters)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BusyError(f"another run is using {folder}") from None
        return _Run(spec, folder, values, pipeline_root or _PIPELINE_ROOT, start).execute(watch)


class _Run:
    """One run: what is known of it while it goes on."""

    def __init__(
        self,
        spec: Json,
        folder: Path,
        parameters: Json,
        root: str,
        start: local_container.Start,
    ) -> None:
        self._spec = spec
        self._start = start
        self._tasks: Json = spec["root"]["dag"]["tasks"]
        self._parameters = parameters
        run = f"{time.strftime('%Y%m%d-%H%M%S')}-{uuid.uuid4().hex[:6]}"
        self._root = f"{root.rstrip('/')}/{spec['pipelineInfo']['name']}/{run}"
        self._folder = folder / "runs" / run
        self._store = ObjectStore(folder / "store")
        self._metadata = Metadata(folder / "metadata.json")
        # task -> {"artifacts": {output: id}, "parameters": {output: value}}
        self._outputs: Json = {}
        self._interrupted = threading.Event()

    def execute(self, watch: Callable[[TaskRun], None]) -> tuple[TaskRun, ...]:
        """compiler/argocompiler/dag.go: a task starts when all that it depends on succeeded.

        Argo's DAGs fail fast: after a failure, what runs goes on to its end and nothing starts.
        """
        done: dict[str, TaskRun] = {}
        running: dict[concurrent.futures.Future[TaskRun], str] = {}
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool, self._ending(pool):
            while True:
                failed = any(task.state == FAILED for task in done.values())
                started = {*done, *running.values()}
                for name in sorted(self._tasks.keys() - started):
                    waits = [done.get(other) for other in self._waits_for(name)]
                    if not failed and all(other and other.state in _GOES_ON for other in waits):
                        running[pool.submit(self._task, name)] = name
                if not running:
                    break
                finished, _ = concurrent.futures.wait(
                    running, return_when=concurrent.futures.FIRST_COMPLETED
                )
                for future in finished:
                    done[running.pop(future)] = future.result()
                    watch(future.result())
        for name in sorted(self._tasks.keys() - done.keys()):
            done[name] = TaskRun(name, OMITTED)
            watch(done[name])
        return tuple(done.values())

    @contextlib.contextmanager
    def _ending(self, pool: concurrent.futures.Executor) -> Iterator[None]:
        """Has nothing more start, nor be tried again, once what waits for tasks is interrupted."""
        try:
            yield
        except BaseException:
            self._interrupted.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise

    def _waits_for(self, name: str) -> set[str]:
        inputs = self._tasks[name].get("inputs", {})
        given = [*inputs.get("parameters", {}).values(), *inputs.get("artifacts", {}).values()]
        return {
            *self._tasks[name].get("dependentTasks", []),
            *(r["producerTask"] for one in given for r in one.values() if "producerTask" in r),
        }

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
            # Whatever it is, what else runs goes on to its end.
            state, tries, reason = FAILED, 0, traceback.format_exception_only(error)[-1].strip()
        finally:
            # A container's own files go with it.
            shutil.rmtree(folder / "container", ignore_errors=True)
        artifacts = {
            key: self._metadata.artifact(artifact)["uri"]
            for key, artifact in self._outputs.get(name, {}).get("artifacts", {}).items()
        }
        seconds = round(time.monotonic() - start, 2)
        return TaskRun(
            name, state, tries, seconds, reason, str(log) if log.exists() else None, artifacts
        )

    def _drive(self, name: str, root: Path, log: Path) -> tuple[str, int, str]:
        """driver/driver.go: Container. Returns state, tries and reason."""
        task = self._tasks[name]
        component = self._spec["components"][task["componentRef"]["name"]]
        executor = self._spec["deploymentSpec"]["executors"][component["executorLabel"]]
        inputs = local_driver.inputs(
            task, component, self._parameters, self._outputs, self._metadata
        )
        if "importer" in executor:
            self._outputs[name] = local_container.import_artifact(
                task, component, executor["importer"], self._parameters, self._metadata
            )
            return SUCCEEDED, 0, ""
        condition = task.get("triggerPolicy", {}).get("condition")
        if condition and not conditions.holds(condition, inputs):
            return SKIPPED, 0, ""
        container = executor["container"]
        outputs = local_driver.outputs(component, f"{self._root}/{name}", root)
        key = None
        if task.get("cachingOptions", {}).get("enableCache"):
            declared = component.get("outputDefinitions", {}).get("parameters", {})
            types = {parameter: spec["parameterType"] for parameter, spec in declared.items()}
            key = fingerprint(inputs, outputs, types, container)
            cached = self._metadata.cached(key)
            if cached is not None:
                self._outputs[name] = cached
                return CACHED, 0, ""
        tries, reason = 0, ""
        for wait in _waits(task.get("retryPolicy", {})):
            if self._interrupted.wait(wait):
                break
            tries += 1
            try:
                self._outputs[name] = local_container.launch(
                    component=component,
                    container=container,
                    inputs=inputs,
                    outputs=outputs,
                    root=root,
                    log=log,
                    store=self._store,
                    metadata=self._metadata,
                    start=self._start,
                )
            except (local_container.TaskFailedError, OSError) as error:
                reason = str(error)
                continue
            if key is not None:
                self._metadata.keep(key, self._outputs[name])
            return SUCCEEDED, tries, ""
        return FAILED, tries, reason


def _waits(policy: Json) -> Iterator[float]:
    """Yields the seconds before each try; compiler/argocompiler/container.go: getTaskRetryStrategy.

    Argo tries no more when the longest time has passed since the first try began
    (argo-workflows, workflow/controller/operator.go: processNodeRetries).
    """
    start = time.monotonic()
    wait, longest = (policy.get(f"backoff{of}Duration") for of in ("", "Max"))
    yield 0
    for number in range(policy.get("maxRetryCount", 0)):
        if longest is not None and time.monotonic() - start > _seconds(longest):
            return
        yield _seconds(wait or "0s") * (int(policy.get("backoffFactor", 0)) or 1) ** number


def _seconds(duration: str) -> float:
    return float(duration.removesuffix("s"))
