"""What Kubeflow's driver finds out for a task before its container starts.

The files named below are those of kubeflow/pipelines, release 2.5.0, below backend/src.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kubeflow.local_store import Metadata

Json = dict[str, Any]

# v2/cmd/driver/main.go: --publish_logs is on unless it is turned off.
LOGS = "executor-logs"


class ParameterError(ValueError):
    """A parameter is missing, unknown or of another type."""


def root_parameters(spec: Json, given: Mapping[str, Any]) -> Json:
    """Puts defaults in; apiserver/template/v2_template.go: validatePipelineJobInputs.

    Raises:
        ParameterError: the pipeline does not take what is given.
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


def inputs(
    task: Json, component: Json, parameters: Json, produced: Mapping[str, Json], metadata: Metadata
) -> Json:
    """Resolves a task's inputs; v2/driver/driver.go: resolveInputs.

    Args:
        task: its PipelineTaskSpec.
        component: its ComponentSpec.
        parameters: those of the run.
        produced: task -> {"artifacts": {output: id}, "parameters": {output: value}}.
        metadata: knows the artifacts.

    Returns:
        ExecutorInput.Inputs.

    Raises:
        ParameterError: a parameter is missing or of another type than declared.
    """
    given = task.get("inputs", {})
    values = {}
    for name, source in given.get("parameters", {}).items():
        if "componentInputParameter" in source:
            values[name] = parameters[source["componentInputParameter"]]
        elif "taskOutputParameter" in source:
            output = source["taskOutputParameter"]
            returned = produced[output["producerTask"]]["parameters"]
            if output["outputParameterKey"] not in returned:
                raise ParameterError(f"{name}: {output['producerTask']} did not return it")
            values[name] = returned[output["outputParameterKey"]]
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
        ids = produced[output["producerTask"]]["artifacts"]
        artifacts[name] = {"artifacts": [metadata.artifact(ids[output["outputArtifactKey"]])]}
    return {"parameterValues": values, "artifacts": artifacts}


def outputs(component: Json, root: str, container: Path) -> Json:
    """Says where a task's outputs go; v2/driver/driver.go: provisionOutputs.

    Args:
        component: its ComponentSpec.
        root: URI below which its artifacts go.
        container: folder that stands for the container's root.

    Returns:
        ExecutorInput.Outputs.
    """
    declared = component.get("outputDefinitions", {})
    salt = str(uuid.uuid4())
    artifacts = {}
    for name, artifact in declared.get("artifacts", {}).items():
        provided = {"uri": f"{root}/{salt}/{name}", "type": artifact["artifactType"]}
        if "metadata" in artifact:
            provided["metadata"] = artifact["metadata"]
        artifacts[name] = {"artifacts": [provided]}
    logs = {"uri": f"{root}/{salt}/{LOGS}", "type": {"schemaTitle": "system.Artifact"}}
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
