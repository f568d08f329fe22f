"""Executes a compiled pipeline on this machine the way open-source Kubeflow Pipelines does.

It reads only the YAML, so that what runs here is what runs there: tasks in the order of the graph
and side by side where it allows, each a process with the command and arguments of the YAML, inputs
and outputs copied through an object store, an equal step taken from an earlier run. What the
cluster refuses is refused (`kubeflow.acceptance`). It knows neither images nor resources, and has
the artifacts of a container under the container's own folder instead of `/minio`, `/s3`, `/gcs`.

The files named below are those of kubeflow/pipelines, release 2.5.0, below backend/src/v2.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from kubeflow import acceptance, conditions
from kubeflow.entrypoint import MOUNTS
from kubeflow.local_store import (
    Metadata,
    ObjectStore,
    UnknownSchemeError,
    fingerprint,
    mounted,
)

Json = dict[str, Any]

# config/env.go
_PIPELINE_ROOT = "minio://mlpipeline/v2/artifacts"

# cmd/driver/main.go: --publish_logs is on unless it is turned off.
_LOGS = "executor-logs"

SUCCEEDED, CACHED, FAILED, SKIPPED, OMITTED = "succeeded", "cached", "failed", "skipped", "omitted"
_GOES_ON = (SUCCEEDED, CACHED)


class ParameterError(ValueError):
    """A run's parameter is not one that the pipeline takes."""


class BusyError(RuntimeError):
    """Another run is using the folder."""


class _TaskFailedError(Exception):
    pass


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
) -> tuple[TaskRun, ...]:
    """Runs a compiled pipeline to its end.

    Args:
        text: the YAML.
        folder: where object store, metadata and the runs' logs are kept, from run to run.
        parameters: runtime parameters that differ from their defaults.
        watch: is told of each task when it ends.
        pipeline_root: URI below which artifacts go; the cluster's default by default.

    Returns:
        Every task, in the order in which they ended.

    Raises:
        RefusedError: the cluster would refuse the pipeline.
        ParameterError: it would refuse the parameters.
        BusyError: another run is using the folder.
    """
    spec, *rest = (document for document in yaml.safe_load_all(text) if document)
    acceptance.check(spec, *rest)
    values = _root_parameters(spec, parameters)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BusyError(f"another run is using {folder}") from None
        return _Run(spec, folder, values, pipeline_root or _PIPELINE_ROOT).execute(watch)


def _root_parameters(spec: Json, given: Mapping[str, Any]) -> Json:
    """apiserver/template/v2_template.go: validatePipelineJobInputs."""
    declared = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    unknown = sorted(given.keys() - declared.keys())
    if unknown:
        raise ParameterError(f"{unknown[0]}: allowed: {', '.join(sorted(declared))}")
    values = {}
    for name, parameter in declared.items():
        if name not in given and "defaultValue" not in parameter:
            raise ParameterError(f"{name}: found nothing, and it has no default")
        values[name] = given.get(name, parameter.get("defaultValue"))
        _check_type(name, values[name], parameter["parameterType"])
    return values


def _check_type(name: str, value: Any, kind: str) -> None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    fits = {
        "STRING": isinstance(value, str),
        "NUMBER_INTEGER": is_number,
        "NUMBER_DOUBLE": is_number,
        "BOOLEAN": isinstance(value, bool),
        "LIST": isinstance(value, list),
        "STRUCT": isinstance(value, dict),
    }
    if not fits[kind]:
        raise ParameterError(f"{name}: found {json.dumps(value)}; allowed: {kind}")


class _Run:
    """One run: what is known of it while it goes on."""

    def __init__(self, spec: Json, folder: Path, parameters: Json, root: str) -> None:
        self._spec = spec
        self._tasks: Json = spec["root"]["dag"]["tasks"]
        self._parameters = parameters
        self._id = f"{time.strftime('%Y%m%d-%H%M%S')}-{uuid.uuid4().hex[:6]}"
        self._root = f"{root.rstrip('/')}/{spec['pipelineInfo']['name']}/{self._id}"
        self._folder = folder / "runs" / self._id
        self._store = ObjectStore(folder / "store")
        self._metadata = Metadata(folder / "metadata.json")
        # task -> {"artifacts": {output: id}, "parameters": {output: value}}
        self._outputs: Json = {}

    def execute(self, watch: Callable[[TaskRun], None]) -> tuple[TaskRun, ...]:
        """argocompiler/dag.go: a task starts when all that it depends on succeeded.

        Argo's DAGs fail fast: after a failure, what runs goes on to its end and nothing starts.
        """
        done: dict[str, TaskRun] = {}
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            running: dict[concurrent.futures.Future[TaskRun], str] = {}
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
        folder.mkdir(parents=True)
        log = folder / "log.txt"
        try:
            state, tries = self._drive(name, folder, log)
            reason = ""
        except _TaskFailedError as error:
            state, tries, reason = FAILED, error.args[1], error.args[0]
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

    def _drive(self, name: str, folder: Path, log: Path) -> tuple[str, int]:
        """driver/driver.go: Container. Returns the state and how often a process was started."""
        task = self._tasks[name]
        component = self._spec["components"][task["componentRef"]["name"]]
        executor = self._spec["deploymentSpec"]["executors"][component["executorLabel"]]
        try:
            inputs = self._inputs(task, component)
            if "importer" in executor:
                self._outputs[name] = self._import(task, component, executor["importer"])
                return SUCCEEDED, 0
            condition = task.get("triggerPolicy", {}).get("condition")
            if condition and not conditions.holds(condition, inputs):
                return SKIPPED, 0
            container = executor["container"]
            outputs = self._provide(name, component, folder)
            key = None
            if task.get("cachingOptions", {}).get("enableCache"):
                declared = component.get("outputDefinitions", {}).get("parameters", {})
                types = {parameter: spec["parameterType"] for parameter, spec in declared.items()}
                key = fingerprint(inputs, outputs, types, container)
                cached = self._metadata.cached(key)
                if cached is not None:
                    self._outputs[name] = cached
                    return CACHED, 0
        except (ValueError, KeyError) as error:
            raise _TaskFailedError(str(error), 0) from error
        # argocompiler/container.go: getTaskRetryStrategy.
        retry = task.get("retryPolicy", {})
        tries = 1 + retry.get("maxRetryCount", 0)
        wait = _seconds(retry.get("backoffDuration"))
        for number in range(1, tries + 1):
            try:
                self._outputs[name] = self._launch(component, container, inputs, outputs, log)
                break
            except _TaskFailedError as error:
                if number == tries:
                    raise _TaskFailedError(error.args[0], number) from error
                time.sleep(wait)
                wait *= retry.get("backoffFactor", 1) or 1
        if key is not None:
            self._metadata.keep(key, self._outputs[name])
        return SUCCEEDED, number

    def _inputs(self, task: Json, component: Json) -> Json:
        """driver/driver.go: resolveInputs."""
        given = task.get("inputs", {})
        values = {}
        for name, source in given.get("parameters", {}).items():
            if "componentInputParameter" in source:
                values[name] = self._parameters[source["componentInputParameter"]]
            elif "taskOutputParameter" in source:
                output = source["taskOutputParameter"]
                produced = self._outputs[output["producerTask"]]["parameters"]
                values[name] = produced[output["outputParameterKey"]]
            else:
                values[name] = source["runtimeValue"]["constant"]
        for name, declared in component.get("inputDefinitions", {}).get("parameters", {}).items():
            if name in values:
                if declared["parameterType"] == "STRING" and not isinstance(values[name], str):
                    values[name] = json.dumps(values[name])
                _check_type(name, values[name], declared["parameterType"])
            elif "defaultValue" not in declared and not declared.get("isOptional"):
                raise ParameterError(f"{name}: found nothing, and it has no default")
        artifacts = {}
        for name, source in given.get("artifacts", {}).items():
            output = source["taskOutputArtifact"]
            produced = self._outputs[output["producerTask"]]["artifacts"]
            artifact = self._metadata.artifact(produced[output["outputArtifactKey"]])
            artifacts[name] = {"artifacts": [artifact]}
        return {"parameterValues": values, "artifacts": artifacts}

    def _provide(self, task: str, component: Json, folder: Path) -> Json:
        """driver/driver.go: provisionOutputs."""
        declared = component.get("outputDefinitions", {})
        salt = str(uuid.uuid4())
        artifacts = {}
        for name, artifact in declared.get("artifacts", {}).items():
            provided = {
                "uri": f"{self._root}/{task}/{salt}/{name}",
                "type": artifact["artifactType"],
            }
            if "metadata" in artifact:
                provided["metadata"] = artifact["metadata"]
            artifacts[name] = {"artifacts": [provided]}
        logs = {
            "uri": f"{self._root}/{task}/{salt}/{_LOGS}",
            "type": {"schemaTitle": "system.Artifact"},
        }
        artifacts[_LOGS] = {"artifacts": [logs]}
        inside = folder / "container"
        return {
            "artifacts": artifacts,
            "parameters": {
                name: {"outputFile": f"{inside}/tmp/kfp/outputs/{name}"}
                for name in declared.get("parameters", {})
            },
            "outputFile": f"{inside}/tmp/kfp_outputs/output_metadata.json",
        }

    def _launch(
        self, component: Json, container: Json, inputs: Json, outputs: Json, log: Path
    ) -> Json:
        """component/launcher_v2.go: Execute. Returns the task's outputs."""
        inside = log.parent / "container"
        shutil.rmtree(inside, ignore_errors=True)
        for listed in inputs["artifacts"].values():
            uri = listed["artifacts"][0]["uri"]
            try:
                self._store.download(uri, inside / mounted(uri))
            except UnknownSchemeError:
                continue  # the launcher warns and goes on
        for listed in outputs["artifacts"].values():
            path = inside / mounted(listed["artifacts"][0]["uri"])
            path.parent.mkdir(parents=True, exist_ok=True)
        for parameter in outputs["parameters"].values():
            Path(parameter["outputFile"]).parent.mkdir(parents=True, exist_ok=True)

        # component/launcher_v2.go: getLogWriter; the file is there before the process starts.
        published = inside / mounted(outputs["artifacts"][_LOGS]["artifacts"][0]["uri"])
        published.touch()
        code = _process(_command(container, component, inputs, outputs), container, inside, log)
        shutil.copyfile(log, published)
        if code:
            last = (log.read_text("utf-8", "replace").strip().splitlines() or [""])[-1]
            raise _TaskFailedError(f"exit code {code}: {last}")

        written: Json = {}
        if Path(outputs["outputFile"]).exists():
            written = json.loads(Path(outputs["outputFile"]).read_text("utf-8"))
        try:
            return {
                "parameters": _output_parameters(component, outputs, written),
                "artifacts": {
                    name: self._publish(listed["artifacts"][0], written, name, inside)
                    for name, listed in outputs["artifacts"].items()
                },
            }
        except (ValueError, OSError) as error:
            raise _TaskFailedError(str(error)) from error

    def _publish(self, provided: Json, written: Json, name: str, inside: Path) -> str:
        """component/launcher_v2.go: uploadOutputArtifacts. Returns the artifact's id."""
        listed = written.get("artifacts", {}).get(name, {}).get("artifacts", [])
        told = listed[0] if listed else {}
        artifact = {
            "uri": told.get("uri") or provided["uri"],
            "metadata": {**provided.get("metadata", {}), **told.get("metadata", {})},
        }
        try:
            path = inside / mounted(artifact["uri"])
        except UnknownSchemeError:
            path = None  # the launcher warns and uploads nothing
        if path is not None and path.exists():
            self._store.upload(artifact["uri"], path)
        return self._metadata.record(artifact)

    def _import(self, task: Json, component: Json, importer: Json) -> Json:
        """component/importer_launcher.go: findOrNewArtifactToImport."""
        uri = importer["artifactUri"]
        if "constant" in uri:
            where = uri["constant"]
        else:
            source = task["inputs"]["parameters"][uri["runtimeParameter"]]
            where = self._parameters[source["componentInputParameter"]]
        mounted(where)
        artifact = {"uri": where, "metadata": importer.get("metadata", {})}
        known = None if importer.get("reimport") else self._metadata.find(artifact)
        (output,) = component["outputDefinitions"]["artifacts"]
        return {"artifacts": {output: known or self._metadata.record(artifact)}, "parameters": {}}


def _command(container: Json, component: Json, inputs: Json, outputs: Json) -> list[str]:
    """component/launcher_v2.go: addDefaultParams, getPlaceholders."""
    declared = component.get("inputDefinitions", {}).get("parameters", {})
    defaults = {name: p["defaultValue"] for name, p in declared.items() if "defaultValue" in p}
    values = {**defaults, **inputs["parameterValues"]}
    executor_input = {"inputs": {**inputs, "parameterValues": values}, "outputs": outputs}
    placeholders = {"{{$}}": json.dumps(executor_input)}
    for side, content in (("inputs", inputs), ("outputs", outputs)):
        for name, listed in content["artifacts"].items():
            uri = listed["artifacts"][0]["uri"]
            placeholders[f"{{{{$.{side}.artifacts['{name}'].uri}}}}"] = uri
            with contextlib.suppress(UnknownSchemeError):
                placeholders[f"{{{{$.{side}.artifacts['{name}'].path}}}}"] = f"/{mounted(uri)}"
    for name, value in values.items():
        text = value if isinstance(value, str) else json.dumps(value)
        placeholders[f"{{{{$.inputs.parameters['{name}']}}}}"] = text
    for name, parameter in outputs["parameters"].items():
        file = parameter["outputFile"]
        placeholders[f"{{{{$.outputs.parameters['{name}'].output_file}}}}"] = file
    command = [*container.get("command", []), *container.get("args", [])]
    for placeholder, text in placeholders.items():
        command = [part.replace(placeholder, text) for part in command]
    return command


def _process(command: list[str], container: Json, inside: Path, log: Path) -> int:
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        **{variable["name"]: variable["value"] for variable in container.get("env", [])},
        MOUNTS: str(inside),
    }
    with log.open("ab") as output:
        return subprocess.run(
            command, stdout=output, stderr=subprocess.STDOUT, env=environment, check=False
        ).returncode


def _output_parameters(component: Json, outputs: Json, written: Json) -> Json:
    """component/launcher_v2.go: collectOutputParameters."""
    values = dict(_given(component, outputs))
    return {**values, **written.get("parameterValues", {})}


def _given(component: Json, outputs: Json) -> Iterator[tuple[str, Any]]:
    for name, parameter in outputs["parameters"].items():
        file = Path(parameter["outputFile"])
        if file.exists():
            text = file.read_text("utf-8")
            kind = component["outputDefinitions"]["parameters"][name]["parameterType"]
            yield name, text if kind == "STRING" else json.loads(text)


def _seconds(duration: str | None) -> float:
    return float((duration or "0s").removesuffix("s"))
