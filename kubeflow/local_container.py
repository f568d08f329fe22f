"""What Kubeflow's launcher does inside a task's container: copy in, run the command, copy out.

The files named below are those of kubeflow/pipelines, release 2.5.0, below backend/src/v2.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kubeflow.entrypoint import MOUNTS
from kubeflow.local_driver import LOGS
from kubeflow.local_store import Metadata, ObjectStore, UnknownSchemeError, mounted

Json = dict[str, Any]


# Runs a command with these variables beside those of this process, adds what it prints to a file,
# and returns its exit code.
Start = Callable[[Sequence[str], Mapping[str, str], Path], int]


class TaskFailedError(Exception):
    """A task's process failed, or what it wrote cannot be published; the message says why."""


def launch(
    component: Json,
    container: Json,
    inputs: Json,
    outputs: Json,
    root: Path,
    log: Path,
    store: ObjectStore,
    metadata: Metadata,
    start: Start,
) -> Json:
    """Runs a task's process once; component/launcher_v2.go: Execute.

    Args:
        component: the task's ComponentSpec.
        container: its PipelineContainerSpec.
        inputs: its ExecutorInput.Inputs.
        outputs: its ExecutorInput.Outputs.
        root: folder that stands for the container's root; emptied first.
        log: file to which is added what the process prints.
        store: where artifacts come from and go to.
        metadata: records the artifacts.
        start: how a process is started.

    Returns:
        {"artifacts": {output: id}, "parameters": {output: value}}.

    Raises:
        TaskFailedError: the process or the publishing of its outputs failed.
    """
    shutil.rmtree(root, ignore_errors=True)
    for listed in inputs["artifacts"].values():
        uri = listed["artifacts"][0]["uri"]
        try:
            store.download(uri, root / mounted(uri))
        except UnknownSchemeError:
            continue  # the launcher warns and goes on
    for listed in outputs["artifacts"].values():
        path = root / mounted(listed["artifacts"][0]["uri"])
        path.parent.mkdir(parents=True, exist_ok=True)
    for parameter in outputs["parameters"].values():
        Path(parameter["outputFile"]).parent.mkdir(parents=True, exist_ok=True)

    # component/launcher_v2.go: getLogWriter; the file is there before the process starts.
    published = root / mounted(outputs["artifacts"][LOGS]["artifacts"][0]["uri"])
    published.touch()
    variables = {variable["name"]: variable["value"] for variable in container.get("env", [])}
    command = _command(container, component, inputs, outputs)
    code = start(command, {**variables, MOUNTS: str(root)}, log)
    shutil.copyfile(log, published)
    if code:
        last = (log.read_text("utf-8", "replace").strip().splitlines() or [""])[-1]
        raise TaskFailedError(f"exit code {code}: {last}")

    try:
        written: Json = {}
        if Path(outputs["outputFile"]).exists():
            written = json.loads(Path(outputs["outputFile"]).read_text("utf-8"))
        returned = dict(_output_parameters(component, outputs))
        return {
            "parameters": {**returned, **written.get("parameterValues", {})},
            "artifacts": {
                name: _publish(listed["artifacts"][0], written, name, root, store, metadata)
                for name, listed in outputs["artifacts"].items()
            },
        }
    except (ValueError, OSError) as error:
        raise TaskFailedError(str(error)) from error


def process(command: Sequence[str], variables: Mapping[str, str], log: Path) -> int:
    """Runs a command as a process of its own, with this environment's `python`.

    Raises:
        TaskFailedError: there is no such command.
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    environment = {**os.environ, "PATH": path, **variables}
    with log.open("ab") as output:
        try:
            return subprocess.run(
                command, stdout=output, stderr=subprocess.STDOUT, env=environment, check=False
            ).returncode
        except OSError as error:
            raise TaskFailedError(f"{command[0]} cannot be run: {error.strerror}") from error


def import_artifact(
    task: Json, component: Json, importer: Json, parameters: Json, metadata: Metadata
) -> Json:
    """Brings in what an importer names; component/importer_launcher.go: findOrNewArtifactToImport.

    Returns:
        As `launch`.

    Raises:
        UnknownSchemeError: it lies in no object store.
    """
    uri = importer["artifactUri"]
    if "constant" in uri:
        where = uri["constant"]
    else:
        source = task["inputs"]["parameters"][uri["runtimeParameter"]]
        where = parameters[source["componentInputParameter"]]
    mounted(where)
    artifact = {"uri": where, "metadata": importer.get("metadata", {})}
    known = None if importer.get("reimport") else metadata.find(artifact)
    (output,) = component["outputDefinitions"]["artifacts"]
    return {"artifacts": {output: known or metadata.record(artifact)}, "parameters": {}}


def _command(container: Json, component: Json, inputs: Json, outputs: Json) -> list[str]:
    """Fills in placeholders; component/launcher_v2.go: addDefaultParams, getPlaceholders."""
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


def _output_parameters(component: Json, outputs: Json) -> Iterator[tuple[str, Any]]:
    """Reads what was written to files; component/launcher_v2.go: collectOutputParameters."""
    for name, parameter in outputs["parameters"].items():
        file = Path(parameter["outputFile"])
        if file.exists():
            text = file.read_text("utf-8")
            kind = component["outputDefinitions"]["parameters"][name]["parameterType"]
            yield name, text if kind == "STRING" else json.loads(text)


def _publish(
    provided: Json, written: Json, name: str, root: Path, store: ObjectStore, metadata: Metadata
) -> str:
    """Uploads an artifact; component/launcher_v2.go: uploadOutputArtifacts. Returns its id."""
    listed = written.get("artifacts", {}).get(name, {}).get("artifacts", [])
    told = listed[0] if listed else {}
    artifact = {
        "uri": told.get("uri") or provided["uri"],
        "metadata": {**provided.get("metadata", {}), **told.get("metadata", {})},
    }
    try:
        path = root / mounted(artifact["uri"])
    except UnknownSchemeError:
        path = None  # the launcher warns and uploads nothing
    if path is not None and path.exists():
        store.upload(artifact["uri"], path)
    return metadata.record(artifact)
