"""The driver's part: resolves a task's inputs and outputs before the task's container starts."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kubeflow.emulator.store import Store
from kubeflow.entrypoint import LOGS

Json = dict[str, Any]

_TYPES: dict[str, type | tuple[type, ...]] = {
    "STRING": str,
    "NUMBER_INTEGER": (int, float),
    "NUMBER_DOUBLE": (int, float),
    "BOOLEAN": bool,
    "LIST": list,
    "STRUCT": dict,
}


class ParameterError(ValueError):
    """A parameter is missing, unknown or of the wrong type."""


def root_parameters(spec: Json, given: Mapping[str, Any]) -> Json:
    """Adds defaults to a run's parameters; template/v2_template.go: validatePipelineJobInputs.

    Raises:
        ParameterError: the pipeline does not declare a given parameter, or a value is missing or
            has the wrong type.
    """
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


def inputs(task: Json, component: Json, parameters: Json, produced: Json, store: Store) -> Json:
    """Resolves a task's inputs to an ExecutorInput.Inputs; v2/driver/driver.go: resolveInputs.

    `parameters` are the run's, and `produced` is task name -> the result of `container.launch`.

    Raises:
        ParameterError: a parameter is missing or has the wrong type.
    """
    given = task.get("inputs", {})
    values = {
        name: _value(name, source, parameters, produced)
        for name, source in given.get("parameters", {}).items()
    }
    for name, declared in component.get("inputDefinitions", {}).get("parameters", {}).items():
        if name not in values:
            raise ParameterError(f"{name}: found nothing, and it has no default")
        if declared["parameterType"] == "STRING" and not isinstance(values[name], str):
            values[name] = json.dumps(values[name])
        _check_type(name, values[name], declared["parameterType"])
    artifacts = {}
    for name, source in given.get("artifacts", {}).items():
        output = source["taskOutputArtifact"]
        ids = produced[output["producerTask"]]["artifacts"]
        artifacts[name] = {"artifacts": [store.artifact(ids[output["outputArtifactKey"]])]}
    return {"parameterValues": values, "artifacts": artifacts}


def _value(name: str, source: Json, parameters: Json, produced: Json) -> Any:
    """Returns the value of an InputParameterSpec: a run's parameter, constant or task's output."""
    if "componentInputParameter" in source:
        return parameters[source["componentInputParameter"]]
    if "taskOutputParameter" not in source:
        return source["runtimeValue"]["constant"]
    output = source["taskOutputParameter"]
    returned = produced[output["producerTask"]]["parameters"]
    if output["outputParameterKey"] not in returned:
        raise ParameterError(f"{name}: {output['producerTask']} did not return it")
    return returned[output["outputParameterKey"]]


def outputs(component: Json, uri: str, container: Path) -> Json:
    """Chooses URIs below `uri` for a task's outputs; v2/driver/driver.go: provisionOutputs.

    Every task also gets an output for its log, because --publish_logs is on by default
    (v2/cmd/driver/main.go). `container` is the folder that stands for the container's root.

    Returns:
        An ExecutorInput.Outputs.
    """
    declared = component.get("outputDefinitions", {})
    salt = str(uuid.uuid4())
    artifacts = {}
    for name, artifact in declared.get("artifacts", {}).items():
        provided = {"uri": f"{uri}/{salt}/{name}", "type": artifact["artifactType"]}
        if "metadata" in artifact:
            provided["metadata"] = artifact["metadata"]
        artifacts[name] = {"artifacts": [provided]}
    logs = {"uri": f"{uri}/{salt}/{LOGS}", "type": {"schemaTitle": "system.Artifact"}}
    artifacts[LOGS] = {"artifacts": [logs]}
    return {
        "artifacts": artifacts,
        "parameters": {
            name: {"outputFile": f"{container}/tmp/kfp/outputs/{name}"}
            for name in declared.get("parameters", {})
        },
        "outputFile": f"{container}/tmp/kfp_outputs/output_metadata.json",
    }


def _check_type(name: str, value: Any, kind: str) -> None:
    # A bool is an int in Python, but not a number in Kubeflow.
    fits = isinstance(value, _TYPES[kind]) and isinstance(value, bool) == (kind == "BOOLEAN")
    if not fits:
        raise ParameterError(f"{name}: found {json.dumps(value)}; allowed: {kind}")
