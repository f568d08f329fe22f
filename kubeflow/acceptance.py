"""Refuses a compiled pipeline that open-source Kubeflow Pipelines would refuse.

Each rule names the file of kubeflow/pipelines (read at release 2.5.0) where the cluster has it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

_SCHEMA = "2.1.0"
_PIPELINE = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
# Argo's rule for the names of tasks and templates (argo-workflows, workflow/validate/validate.go).
_TASK = re.compile(r"[a-zA-Z0-9][-a-zA-Z0-9]*")
_LONGEST_NAME = 128
# Argo names a task's own driver so (backend/src/v2/compiler/argocompiler/dag.go).
_DRIVER = "-driver"


class RefusedError(ValueError):
    """The cluster would refuse this pipeline; the message says which rule it breaks."""


def check(spec: Mapping[str, Any], platform: Mapping[str, Any] | None = None) -> None:
    """Checks a pipeline spec, and the platform spec that comes with it.

    Raises:
        RefusedError: the cluster would refuse it.
    """
    _check_document(spec, platform)
    executors = spec.get("deploymentSpec", {}).get("executors", {})
    tasks = spec["root"].get("dag", {}).get("tasks", {})
    if not tasks:
        raise RefusedError("the pipeline has no task")
    for name, task in tasks.items():
        _check_task(name, task, tasks, spec, executors)
    _check_order(tasks)


def _check_document(spec: Mapping[str, Any], platform: Mapping[str, Any] | None) -> None:
    """backend/src/apiserver/template/v2_template.go: NewV2SpecTemplate."""
    try:
        json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
        json_format.ParseDict(
            spec.get("deploymentSpec", {}), pipeline_spec_pb2.PipelineDeploymentConfig()
        )
        json_format.ParseDict(platform or {}, pipeline_spec_pb2.PlatformSpec())
    except json_format.ParseError as error:
        raise RefusedError(f"not a pipeline spec: {error}") from error
    version = spec.get("schemaVersion")
    if version != _SCHEMA:
        raise RefusedError(f"schemaVersion: found {version}; allowed: {_SCHEMA}")
    name = spec.get("pipelineInfo", {}).get("name", "")
    if not _PIPELINE.fullmatch(name):
        raise RefusedError(
            f"pipelineInfo.name: found {name!r}; allowed: lower-case letters, digits, hyphens and"
            " dots, a letter or digit at both ends"
        )
    if not spec.get("root"):
        raise RefusedError("root: found nothing; allowed: a component")


def _check_task(
    name: str,
    task: Mapping[str, Any],
    tasks: Mapping[str, Any],
    spec: Mapping[str, Any],
    executors: Mapping[str, Any],
) -> None:
    """backend/src/v2/compiler/visitor.go: dfs; argocompiler/dag.go: task."""
    if not _TASK.fullmatch(name) or len(name) > _LONGEST_NAME:
        raise RefusedError(f"task {name}: allowed in a name: letters, digits and hyphens")
    if name.endswith(_DRIVER) and name.removesuffix(_DRIVER) in tasks:
        raise RefusedError(f"task {name}: the cluster gives this name to another task's driver")
    component = spec.get("components", {}).get(task.get("componentRef", {}).get("name"))
    if component is None:
        raise RefusedError(f"task {name}: its component is not there")
    executor = executors.get(component.get("executorLabel"), {})
    if "container" not in executor and "importer" not in executor:
        kind = next(iter(executor), "nothing")
        raise RefusedError(f"task {name}: found {kind} for executor; allowed: container, importer")
    if "importer" in executor and task.get("triggerPolicy", {}).get("condition"):
        raise RefusedError(f"task {name}: an importer cannot have a condition")
    inputs = task.get("inputs", {})
    producers = [
        reference["producerTask"]
        for given in [*inputs.get("parameters", {}).values(), *inputs.get("artifacts", {}).values()]
        for kind, reference in given.items()
        if kind in ("taskOutputParameter", "taskOutputArtifact")
    ]
    for other in [*producers, *task.get("dependentTasks", [])]:
        if other not in tasks:
            raise RefusedError(f"task {name}: it waits for {other}, which is not there")


def _check_order(tasks: Mapping[str, Any]) -> None:
    left = {name: set(task.get("dependentTasks", [])) for name, task in tasks.items()}
    while left:
        ready = {name for name, waits in left.items() if not waits}
        if not ready:
            raise RefusedError(f"tasks wait for each other: {', '.join(sorted(left))}")
        left = {name: waits - ready for name, waits in left.items() if name not in ready}
