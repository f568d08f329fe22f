"""The launcher's part: copies inputs in, runs the command of a task, and copies outputs out."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubeflow.emulator.store import Store
from kubeflow.entrypoint import GPUS, LOGS, MOUNTS, mounted

Json = dict[str, Any]

# Runs a command with these variables added to this process's environment, appends what the command
# prints to a file, and returns its exit code.
Start = Callable[[Sequence[str], Mapping[str, str], Path], int]


class TaskFailedError(Exception):
    """A task's process failed; the message has its exit code and the last line of its log."""


@dataclass(frozen=True)
class Container:
    """The container of one task."""

    spec: Json  # a PipelineContainerSpec
    inputs: Json  # an ExecutorInput.Inputs
    outputs: Json  # an ExecutorInput.Outputs
    root: Path  # the folder that stands for the container's root
    log: Path  # the file that receives what the process prints


def launch(container: Container, store: Store, start: Start) -> Json:
    """Runs a task's command once, in an empty container; component/launcher_v2.go: Execute.

    Returns:
        {"artifacts": {output name: id in the store}, "parameters": {output name: value}}.

    Raises:
        TaskFailedError: the process failed.
        ValueError: the process wrote outputs that Kubeflow cannot read.
        OSError: a file cannot be copied, or the command cannot be started.
    """
    root, outputs = container.root, container.outputs
    shutil.rmtree(root, ignore_errors=True)
    for listed in container.inputs["artifacts"].values():
        store.download(listed["artifacts"][0]["uri"], root)
    paths = {
        name: root / mounted(listed["artifacts"][0]["uri"])
        for name, listed in outputs["artifacts"].items()
    }
    for path in paths.values():
        path.parent.mkdir(parents=True, exist_ok=True)
    # component/launcher_v2.go: getLogWriter creates the file before the process starts.
    paths[LOGS].touch()

    # component/launcher_v2.go: getPlaceholders puts the ExecutorInput into the command.
    executor_input = json.dumps({"inputs": container.inputs, "outputs": outputs})
    parts = [*container.spec["command"], *container.spec["args"]]
    command = [part.replace("{{$}}", executor_input) for part in parts]
    variables = {variable["name"]: variable["value"] for variable in container.spec.get("env", [])}
    variables.pop(GPUS, None)  # this machine need not have them
    code = start(command, {**variables, MOUNTS: str(root)}, container.log)
    shutil.copyfile(container.log, paths[LOGS])
    if code:
        last = (container.log.read_text("utf-8", "replace").strip().splitlines() or [""])[-1]
        raise TaskFailedError(f"exit code {code}: {last}")

    file = Path(outputs["outputFile"])
    written: Json = json.loads(file.read_text("utf-8")) if file.exists() else {}
    return {
        "parameters": written.get("parameterValues", {}),
        "artifacts": {
            name: _publish(name, listed["artifacts"][0], written, root, store)
            for name, listed in outputs["artifacts"].items()
        },
    }


def process(command: Sequence[str], variables: Mapping[str, str], log: Path) -> int:
    """Runs a command in a subprocess, with this environment's `python`; returns its exit code."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    environment = {**os.environ, "PATH": path, **variables}
    with log.open("ab") as output:
        return subprocess.run(
            command, stdout=output, stderr=subprocess.STDOUT, env=environment, check=False
        ).returncode


def _publish(name: str, provided: Json, written: Json, root: Path, store: Store) -> str:
    """Uploads an output and returns its id; component/launcher_v2.go: uploadOutputArtifacts."""
    listed = written.get("artifacts", {}).get(name, {}).get("artifacts", [])
    reported = listed[0] if listed else {}
    artifact = {
        "uri": reported.get("uri") or provided["uri"],
        "metadata": {**provided.get("metadata", {}), **reported.get("metadata", {})},
    }
    store.upload(artifact["uri"], root)
    return store.record(artifact)
