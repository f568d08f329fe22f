"""Refuses a compiled pipeline that open-source Kubeflow Pipelines would refuse.

Each check names the file of kubeflow/pipelines 2.5.0 that has the same check.
"""

from __future__ import annotations

import graphlib
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
# Argo names a task's driver after the task, plus this suffix (v2/compiler/argocompiler/dag.go).
_DRIVER = "-driver"


class UnacceptableError(ValueError):
    """The cluster would refuse this pipeline; the message names the broken rule."""


def check(spec: Mapping[str, Any], platform: Mapping[str, Any] | None = None) -> None:
    """Checks a PipelineSpec, and its PlatformSpec if it has one, against the cluster's rules.

    Raises:
        UnacceptableError: the cluster would refuse one of them.
    """
    _check_document(spec, platform)
    tasks = spec["root"].get("dag", {}).get("tasks", {})
    if not tasks:
        raise UnacceptableError("the pipeline has no task")
    for name in tasks:
        _check_task(name, tasks, spec)
    try:
        order(tasks)
    except graphlib.CycleError as error:
        names = ", ".join(sorted(set(error.args[1])))
        raise UnacceptableError(f"tasks wait for each other: {names}") from error


def order(tasks: Mapping[str, Any]) -> graphlib.TopologicalSorter[str]:
    """Returns a prepared sorter, which yields each task once all tasks before it are done.

    Raises:
        CycleError: tasks wait for each other.
    """
    found = graphlib.TopologicalSorter({name: _waits_for(task) for name, task in tasks.items()})
    found.prepare()
    return found


def _waits_for(task: Mapping[str, Any]) -> set[str]:
    """Returns the names of the tasks that must end before the given task starts."""
    inputs = task.get("inputs", {})
    sources = [*inputs.get("parameters", {}).values(), *inputs.get("artifacts", {}).values()]
    producers = [
        reference["producerTask"]
        for source in sources
        for kind, reference in source.items()
        if kind in ("taskOutputParameter", "taskOutputArtifact")
    ]
    return {*producers, *task.get("dependentTasks", [])}


def _check_document(spec: Mapping[str, Any], platform: Mapping[str, Any] | None) -> None:
    """Repeats the checks of backend/src/apiserver/template/v2_template.go: NewV2SpecTemplate."""
    try:
        json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
        json_format.ParseDict(
            spec.get("deploymentSpec", {}), pipeline_spec_pb2.PipelineDeploymentConfig()
        )
        json_format.ParseDict(platform or {}, pipeline_spec_pb2.PlatformSpec())
    except json_format.ParseError as error:
        raise UnacceptableError(f"not a pipeline spec: {error}") from error
    version = spec.get("schemaVersion")
    if version != _SCHEMA:
        raise UnacceptableError(f"schemaVersion: found {version}; allowed: {_SCHEMA}")
    name = spec.get("pipelineInfo", {}).get("name", "")
    if not _PIPELINE.fullmatch(name):
        raise UnacceptableError(
            f"pipelineInfo.name: found {name!r}; allowed: lower-case letters, digits, hyphens and"
            " dots, with a letter or digit at both ends"
        )
    if not spec.get("root"):
        raise UnacceptableError("root: found nothing; allowed: a component")


def _check_task(name: str, tasks: Mapping[str, Any], spec: Mapping[str, Any]) -> None:
    """Repeats the checks of backend/src/v2/compiler: visitor.go: dfs; argocompiler/dag.go: task."""
    if not _TASK.fullmatch(name) or len(name) > _LONGEST_NAME:
        raise UnacceptableError(f"task {name}: allowed in a name: letters, digits and hyphens")
    if name.endswith(_DRIVER) and name.removesuffix(_DRIVER) in tasks:
        raise UnacceptableError(
            f"task {name}: the cluster gives this name to another task's driver"
        )
    component = spec.get("components", {}).get(tasks[name].get("componentRef", {}).get("name"))
    if component is None:
        raise UnacceptableError(f"task {name}: the pipeline lacks its component")
    executors = spec.get("deploymentSpec", {}).get("executors", {})
    executor = executors.get(component.get("executorLabel"), {})
    if "container" not in executor and "importer" not in executor:
        kind = next(iter(executor), "nothing")
        raise UnacceptableError(
            f"task {name}: found {kind} for executor; allowed: container, importer"
        )
    for other in sorted(_waits_for(tasks[name]) - tasks.keys()):
        raise UnacceptableError(f"task {name}: it waits for {other}, which the pipeline lacks")
