"""What is compiled: accepted by Kubeflow's own tools, the same each time, and complete."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kfp.components
import pytest
import yaml
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2
from tfx.dsl.components.base.base_driver import BaseDriver
from tfx.dsl.components.common.resolver import Resolver
from tfx.dsl.input_resolution.strategies.latest_artifact_strategy import LatestArtifactStrategy
from tfx.types.channel import Channel
from tfx.types.standard_artifacts import Model

from kubeflow import blueprint
from kubeflow import compile as compiler
from pipeline.config import ConfigError
from pipeline.graph import build
from retrain.__main__ import main
from tests.kubeflow.conftest import LABELS, Compiled, settings, tasks_of

REPOSITORY = Path(__file__).resolve().parents[2]


def _container(spec: dict[str, Any], task: str) -> dict[str, Any]:
    container: dict[str, Any] = spec["deploymentSpec"]["executors"][f"{task}_executor"]["container"]
    return container


def _prechecks(spec: dict[str, Any]) -> set[str]:
    return {task for task in tasks_of(spec) if task.endswith("-precheck")}


def _argument(spec: dict[str, Any], task: str, name: str) -> str:
    arguments = _container(spec, task)["args"]
    return str(arguments[arguments.index(name) + 1])


def test_kubeflows_own_tools_take_it(tmp_path: Path) -> None:
    file = tmp_path / "pipeline.yaml"
    every_node = settings(tuner={"trials": 2}, export={"tflite": "int8"})
    file.write_text(compiler.compile_for_kubeflow(every_node), "utf-8")
    component = kfp.components.load_component_from_file(str(file))
    assert component.name == "test-pets"
    assert "trainer_epochs" in component.component_spec.inputs
    spec = yaml.safe_load(file.read_text("utf-8"))
    # Unknown fields are errors to this parser.
    parsed = json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
    deployment = json_format.ParseDict(
        json_format.MessageToDict(parsed.deployment_spec),
        pipeline_spec_pb2.PipelineDeploymentConfig(),
    )
    assert deployment.executors.keys() == {f"{task}_executor" for task in tasks_of(spec)}


def test_the_schema_version_is_the_one_the_cluster_takes(spec: dict[str, Any]) -> None:
    assert spec["schemaVersion"] == "2.1.0"


def test_every_step_of_the_graph_is_there_and_nothing_else(spec: dict[str, Any]) -> None:
    steps = {node.id for node in compiler.blueprint(settings()).graph().components}
    assert tasks_of(spec).keys() - _prechecks(spec) == steps


def test_names_are_such_as_argo_takes(spec: dict[str, Any]) -> None:
    assert all(re.fullmatch("[a-z0-9]+(-[a-z0-9]+)*", task) for task in tasks_of(spec))
    assert spec["pipelineInfo"]["name"] == "test-pets"
    assert not [task for task in tasks_of(spec) if task.endswith("-driver")]


def test_no_executor_is_a_resolver(spec: dict[str, Any]) -> None:
    executors = spec["deploymentSpec"]["executors"].values()
    assert {kind for executor in executors for kind in executor} == {"container"}


def test_a_graph_with_a_resolver_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    create = build.create_pipeline

    def with_resolver(*arguments: Any) -> Any:
        graph = create(*arguments)
        latest = Resolver(strategy_class=LatestArtifactStrategy, model=Channel(type=Model))
        graph.components = [*graph.components, latest.with_id("latest-model")]
        return graph

    monkeypatch.setattr(build, "create_pipeline", with_resolver)
    with pytest.raises(ValueError, match="latest-model is a Resolver"):
        compiler.compile_for_kubeflow(settings())


@pytest.mark.slow
def test_the_command_gives_the_same_bytes_in_another_process_and_runs_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, output = tmp_path / "config.yaml", tmp_path / "pipeline.yaml"
    config.write_text(yaml.safe_dump(settings().model_dump(mode="json")), "utf-8")
    command = [sys.executable, "-m", "retrain", "compile", "--config", str(config)]
    done = subprocess.run(
        [*command, "--output", str(output), "--dry-run-in", str(tmp_path / "dry"), "--json"],
        check=False,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONHASHSEED": "7"},
    )
    text = output.read_text("utf-8")
    # What git tells depends on the moment: files change while tests run.
    env = _container(next(yaml.safe_load_all(text)), "trainer")["env"]
    (plan,) = (one["value"] for one in env if one["name"] == blueprint.VARIABLE)
    monkeypatch.setattr(blueprint, "commit", lambda: json.loads(plan)["commit"])
    assert text == compiler.compile_for_kubeflow(settings())
    # Without data, the run ends where it looks for the newest span.
    assert done.returncode == 1, done.stderr
    told = json.loads(done.stdout)
    states = {task["task"]: task["state"] for task in told["tasks"]}
    assert (told["succeeded"], states["schema-gen"]) == (False, "succeeded")
    assert [task for task, state in states.items() if state == "failed"] == ["example-gen-precheck"]
    assert states["trainer"] == "omitted"


def test_compiling_writes_the_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = settings(data={"root": "data", "labels": LABELS}, output="out")
    (tmp_path / "retrain.yaml").write_text(
        yaml.safe_dump(config.model_dump(mode="json")), encoding="utf-8"
    )
    assert main(["compile"]) == 0
    assert {path.name for path in tmp_path.rglob("*")} == {"retrain.yaml", "pipeline.yaml"}


def test_a_custom_driver_runs_before_the_cache_is_asked(spec: dict[str, Any]) -> None:
    nodes = compiler.blueprint(settings()).graph().components
    steps = {node.id for node in nodes if node.driver_class is not BaseDriver}
    assert steps >= {"example-gen", "span-drift", "production-model", "pusher"}
    assert {f"{step}-precheck" for step in steps} == _prechecks(spec)
    for step in steps:
        precheck = tasks_of(spec)[f"{step}-precheck"]
        assert not precheck["cachingOptions"].get("enableCache")
        assert _argument(spec, f"{step}-precheck", "--driver_class_path").endswith("Driver")
        task = tasks_of(spec)[step]
        assert task["cachingOptions"] == {"enableCache": True}
        assert task["inputs"]["parameters"]["driver_output"] == {
            "taskOutputParameter": {
                "producerTask": f"{step}-precheck",
                "outputParameterKey": "driver_output",
            }
        }
        assert f"{step}-precheck" in task["dependentTasks"]
        assert "lifecycle" not in _container(spec, step)


def test_each_container_runs_our_entrypoint(spec: dict[str, Any]) -> None:
    for task in tasks_of(spec):
        assert _container(spec, task)["command"] == ["python", "-m", "kubeflow.entrypoint"]


def test_what_a_step_gets_is_what_the_config_says(compiled: Callable[..., Compiled]) -> None:
    kubeflow = {
        "every_step": {
            "image": "registry/retrain:7",
            "memory": 4.0,
            "env": {"A": "1", "B": "1"},
            "volumes": [{"claim": "retrain", "path": "/mnt/retrain"}],
        },
        "steps": {
            "trainer": {
                "image": "registry/retrain:gpu",
                "cpu": 3.5,
                "gpu": 1,
                "env": {"B": "2"},
                "retry": {"times": 2, "wait": 30, "factor": 3, "longest": 600},
                "timeout": 7200,
                "secrets": [{"name": "s3", "key": "k", "env": "SECRET"}],
                "node_selector": {"pool": "gpu"},
                "tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}],
            },
            "transform": {"cache": False},
            "example-gen": {"cpu": 2.0},
        },
    }
    spec, platform = compiled(kubeflow=kubeflow)
    trainer, transform = _container(spec, "trainer"), _container(spec, "transform")
    assert (trainer["image"], transform["image"]) == ("registry/retrain:gpu", "registry/retrain:7")
    assert trainer["resources"] == {
        "cpuLimit": 3.5,
        "memoryLimit": 4.0,
        "accelerator": {"type": "nvidia.com/gpu", "count": "1"},
    }
    assert transform["resources"] == {"memoryLimit": 4.0}
    # TFX's compiler drops those of a file-based ExampleGen.
    assert _container(spec, "example-gen")["resources"]["cpuLimit"] == 2.0
    env = {variable["name"]: variable["value"] for variable in trainer["env"]}
    assert env.items() >= {("A", "1"), ("B", "2")}
    assert tasks_of(spec)["trainer"]["retryPolicy"] == {
        "maxRetryCount": 2,
        "backoffDuration": "30s",
        "backoffFactor": 3,
        "backoffMaxDuration": "600s",
    }
    assert "enableCache" not in tasks_of(spec)["transform"]["cachingOptions"]
    executors = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    volumes = [{"constant": "retrain", "mountPath": "/mnt/retrain"}]
    assert executors["example-gen-precheck_executor"] == {"pvcMount": volumes}
    assert executors["trainer_executor"] == {
        "secretAsEnv": [{"secretName": "s3", "keyToEnv": [{"secretKey": "k", "envVar": "SECRET"}]}],
        "pvcMount": volumes,
        "nodeSelector": {"labels": {"pool": "gpu"}},
        "tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}],
        "activeDeadlineSeconds": "7200",
    }


def test_without_kubernetes_settings_there_is_one_document(
    compiled: Callable[..., Compiled],
) -> None:
    assert compiled()[1] == {}


def test_a_step_that_is_not_there_is_refused() -> None:
    config = settings(kubeflow={"steps": {"trianer": {"cpu": 1.0}}})
    with pytest.raises(ConfigError, match=r"kubeflow\.steps: found trianer.*did you mean trainer"):
        compiler.compile_for_kubeflow(config)


def test_what_the_cluster_would_refuse_is_told_of_the_config() -> None:
    config = settings(kubeflow={"every_step": {"retry": {"times": 1, "wait": 10**12}}})
    with pytest.raises(ConfigError, match=r"the cluster would refuse this pipeline: .*Duration"):
        compiler.compile_for_kubeflow(config)


def test_labels_that_lie_remote_are_refused() -> None:
    config = settings(data={"root": "gs://bucket/data"})
    with pytest.raises(ConfigError, match=r"data\.labels: found a remote file"):
        compiler.compile_for_kubeflow(config)


def test_vertex_takes_a_job_as_json() -> None:
    config = settings(kubeflow={"pipeline_root": "gs://bucket/root"})
    job = json.loads(compiler.compile_for_vertex(config))
    assert json_format.ParseDict(job, pipeline_spec_pb2.PipelineJob()).display_name == "test-pets"
    assert job["pipelineSpec"]["schemaVersion"] == "2.1.0"
    assert job["runtimeConfig"] == {"gcsOutputDirectory": "gs://bucket/root"}
    only_kubernetes = settings(kubeflow={"every_step": {"node_selector": {"a": "b"}}})
    with pytest.raises(ConfigError, match="nodeSelector"):
        compiler.compile_for_vertex(only_kubernetes)
