"""Each rule of the cluster, broken."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from kubeflow.acceptance import UnacceptableError, check
from tests.kubeflow.conftest import Pipeline


@pytest.fixture
def good(pipeline: Pipeline) -> dict[str, Any]:
    pipeline.task("first-task", "true", outputs=("model",))
    pipeline.task("second", "true", artifacts={"model": ("first-task", "model")})
    check(pipeline.spec)
    return pipeline.spec


def _rename(name: str) -> Callable[[dict[str, Any]], None]:
    def rename(spec: dict[str, Any]) -> None:
        tasks = spec["root"]["dag"]["tasks"]
        tasks[name] = tasks.pop("second")

    return rename


def _resolver(spec: dict[str, Any]) -> None:
    spec["deploymentSpec"]["executors"]["second_executor"] = {"resolver": {}}


def _put(*path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def put(spec: dict[str, Any]) -> None:
        for key in path[:-1]:
            spec = spec[key]
        spec[path[-1]] = value

    return put


SECOND = ("root", "dag", "tasks", "second")


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (_put("schemaVersion", value="2.0.0"), "schemaVersion: found 2.0.0"),
        (_put("pipelineInfo", "name", value="Under_score"), "pipelineInfo.name"),
        (_put("pipelineInfo", "name", value=""), "pipelineInfo.name"),
        (_put("surprise", value=1), "not a pipeline spec"),
        (_put("root", "dag", "tasks", value={}), "no task"),
        (_resolver, "found resolver for executor"),
        (_rename("second_task"), "task second_task: allowed in a name"),
        (_rename("a.b"), "task a.b: allowed in a name"),
        (_rename("first-task-driver"), "another task's driver"),
        (_put(*SECOND, "dependentTasks", value=["none"]), "waits for none"),
        (_put(*SECOND, "dependentTasks", value=["second"]), "wait for each other"),
        (_put(*SECOND, "componentRef", value={"name": "none"}), "lacks its component"),
    ],
)
def test_what_the_cluster_refuses(
    good: dict[str, Any], break_it: Callable[[dict[str, Any]], None], message: str
) -> None:
    broken = copy.deepcopy(good)
    break_it(broken)
    with pytest.raises(UnacceptableError) as refused:
        check(broken)
    assert message in str(refused.value)


def test_the_platform_spec_is_read_too(good: dict[str, Any]) -> None:
    check(good, {"platforms": {"kubernetes": {"deploymentSpec": {"executors": {}}}}})
    with pytest.raises(UnacceptableError):
        check(good, {"platform": {}})
