"""Compiles the graph for open-source Kubeflow Pipelines (`pipeline.yaml`) and for Vertex AI.

TFX's compiler translates the graph. This module adds what TFX's output lacks (a task for each
custom driver, runtime parameters, resources, retries) and refuses what the cluster would refuse.
The same config and code give the same bytes. Compiling writes no file and uses no network.
"""

from __future__ import annotations

import contextlib
import copy
import json
from typing import Any

import yaml
from google.protobuf import json_format
from tfx.dsl.components.base import base_component, base_driver
from tfx.orchestration.kubeflow.v2 import compiler_utils, pipeline_builder
from tfx.orchestration.kubeflow.v2.kubeflow_v2_dag_runner import (
    KubeflowV2DagRunner,
    KubeflowV2DagRunnerConfig,
)
from tfx.orchestration.pipeline import Pipeline
from tfx.utils import name_utils

from kubeflow import acceptance, platform_spec
from kubeflow.blueprint import SPAN, VARIABLE, Blueprint, blueprint, is_text, name_of
from kubeflow.entrypoint import DRIVER_OUTPUT, GPUS
from pipeline.config import Config, ConfigError, Step, did_you_mean

Spec = dict[str, Any]

COMMAND = ["python", "-m", "kubeflow.entrypoint"]
# Suffix of the task that runs a step's custom driver.
_PRECHECK = "precheck"
_IMAGE = "retrain:latest"
_GPU = "nvidia.com/gpu"
_NUMBERS = {int: "NUMBER_INTEGER", float: "NUMBER_DOUBLE"}
# The change of a float in `_other`: it alters a property, but stays within a threshold's bounds.
_STEP = 1e-6


def compile_for_kubeflow(config: Config) -> str:
    """Returns the compiled pipeline as YAML: the PipelineSpec and, if needed, the PlatformSpec.

    Raises:
        ConfigError: the config names an unknown step or cannot be compiled, or the cluster would
            refuse the result.
    """
    spec, platform = _specs(config)
    documents = [spec, platform] if platform else [spec]
    try:
        acceptance.check(*documents)
    except acceptance.UnacceptableError as error:
        raise ConfigError(f"the cluster would refuse this pipeline: {error}") from error
    return yaml.safe_dump_all(documents, sort_keys=True, width=100, allow_unicode=True)


def compile_for_vertex(config: Config) -> str:
    """Returns the compiled pipeline as JSON: a PipelineJob of Vertex AI Pipelines.

    Raises:
        ConfigError: the config names an unknown step or cannot be compiled, or has a setting that
            only Kubernetes supports.
    """
    spec, platform = _specs(config)
    if platform:
        keys = ", ".join(platform_spec.keys(platform))
        raise ConfigError(
            f"kubeflow: found {keys}; allowed with --target vertex: no secrets, volumes,"
            " node_selector, tolerations or timeout"
        )
    root = config.kubeflow.pipeline_root
    job = {
        "displayName": spec["pipelineInfo"]["name"],
        "pipelineSpec": spec,
        "runtimeConfig": {"gcsOutputDirectory": root} if root else {},
    }
    return json.dumps(job, indent=2, sort_keys=True) + "\n"


def pipeline_name(config: Config) -> str:
    """Returns the pipeline's name in the form that Kubernetes allows."""
    return config.name.replace("_", "-").strip("-")


def _specs(config: Config) -> tuple[Spec, Spec]:
    """Returns the PipelineSpec and the PlatformSpec, which is empty if no step needs it."""
    plan = blueprint(config)
    graph = plan.graph()
    _check_nodes(config, graph)
    graph.pipeline_info.pipeline_name = pipeline_name(config)
    images = {node.id: config.kubeflow.step(node.id).image or _IMAGE for node in graph.components}
    runner = KubeflowV2DagRunner(
        KubeflowV2DagRunnerConfig(
            default_image={**images, pipeline_builder.DEFAULT_IMAGE_PATH_KEY: _IMAGE},
            default_commands=COMMAND,
            use_pipeline_spec_2_1=True,
        )
    )
    spec: Spec = runner.run(graph, write_out=False)["pipelineSpec"]
    _add_parameters(spec, plan, graph)
    platform = {}
    for node in graph.components:
        step = config.kubeflow.step(node.id)
        _set_up(spec, node, plan, step)
        platform[f"{node.id}_executor"] = step
        if precheck := _add_precheck(spec, node):
            platform[f"{precheck}_executor"] = step
    return spec, platform_spec.build(platform)


def _check_nodes(config: Config, graph: Pipeline) -> None:
    ids = [node.id for node in graph.components]
    for name in config.kubeflow.steps or {}:
        if name not in ids:
            raise ConfigError(
                f"kubeflow.steps: found {name}; allowed: {', '.join(ids)}{did_you_mean(name, ids)}"
            )
    for node in graph.components:
        if not isinstance(node, base_component.BaseComponent):
            raise ValueError(
                f"{node.id} is a {type(node).__name__}, which does not run in a container; use a"
                " component that reads the file system instead"
            )


def _container(spec: Spec, node: str) -> Spec:
    container: Spec = spec["deploymentSpec"]["executors"][f"{node}_executor"]["container"]
    return container


def _add_parameters(spec: Spec, plan: Blueprint, graph: Pipeline) -> None:
    """Declares each runtime parameter in the spec, for the steps whose properties depend on it."""
    values = plan.parameters()
    before = {node.id: node.exec_properties for node in graph.components}
    declared: Spec = {}
    for key, value in values.items():
        name = name_of(key)
        other = _other(plan, key, value)
        if other is None:
            continue
        after = {node.id: node.exec_properties for node in other.graph().components}
        kind = "STRING" if is_text(key, value) else _NUMBERS[type(value)]
        for node in (node for node in before if after[node] != before[node]):
            inputs = spec["components"][node]["inputDefinitions"].setdefault("parameters", {})
            if name in inputs:
                raise ValueError(f"{node} has a property {name}, as the config key {key} is named")
            inputs[name] = {"parameterType": kind}
            spec["root"]["dag"]["tasks"][node]["inputs"].setdefault("parameters", {})[name] = {
                "componentInputParameter": name
            }
            declared[name] = {
                "parameterType": kind,
                "defaultValue": str(value) if kind == "STRING" else value,
                "description": f"The config's {key}.",
            }
    if declared:
        spec["root"]["inputDefinitions"] = {"parameters": declared}


def _other(plan: Blueprint, key: str, value: Any) -> Blueprint | None:
    """Returns the blueprint with another value for a key than `value`, its present one.

    Returns None if the config allows no other value, as for a threshold's `max` if `min` is 1.
    """
    step = 1 if isinstance(value, int) else _STEP
    if isinstance(value, str):
        candidates = [0 if key == SPAN else f"{value}-other"]
    else:
        candidates = [value + step, value - step]
    for candidate in candidates:
        with contextlib.suppress(ConfigError):
            return plan.changed({key: candidate})
    return None


def _set_up(spec: Spec, node: base_component.BaseComponent, plan: Blueprint, step: Step) -> None:
    """Adds a step's settings, and its container's arguments and environment, to the spec."""
    container = _container(spec, node.id)
    container.pop("lifecycle", None)  # open-source Kubeflow ignores it; see `_add_precheck`
    container["args"][:0] = ["--step", node.id]
    booked = {GPUS: str(step.gpu)} if step.gpu else {}
    variables = {VARIABLE: plan.to_json(), **booked, **(step.env or {})}
    container["env"] = [{"name": key, "value": value} for key, value in variables.items()]
    gpu = {"type": step.gpu_type or _GPU, "count": str(step.gpu)} if step.gpu else None
    resources = {"cpuLimit": step.cpu, "memoryLimit": step.memory, "accelerator": gpu}
    if given := {key: value for key, value in resources.items() if value is not None}:
        container["resources"] = given
    task = spec["root"]["dag"]["tasks"][node.id]
    task["cachingOptions"] = {"enableCache": True} if step.cache is not False else {}
    if step.retry is not None and step.retry.times:
        task["retryPolicy"] = {
            "maxRetryCount": step.retry.times,
            "backoffDuration": f"{step.retry.wait}s",
            "backoffFactor": step.retry.factor,
        }
        if step.retry.longest is not None:
            task["retryPolicy"]["backoffMaxDuration"] = f"{step.retry.longest}s"


def _add_precheck(spec: Spec, node: base_component.BaseComponent) -> str | None:
    """Adds a task that runs a step's custom driver before the step and is never cached.

    The driver finds values that the step's cache key must cover: the newest span, or the version in
    production. The task's result becomes a parameter of the step, which Kubeflow's key covers.

    Returns:
        The name of the added task; None if the step has no custom driver.
    """
    driver = node.driver_class
    if driver is base_driver.BaseDriver:
        return None
    name = f"{node.id}-{_PRECHECK}"
    component, task = spec["components"][node.id], spec["root"]["dag"]["tasks"][node.id]

    precheck = copy.deepcopy(_container(spec, node.id))
    arguments = dict(zip(precheck["args"][::2], precheck["args"][1::2], strict=False))
    precheck["args"] = [
        *("--step", node.id, "--driver_class_path", name_utils.get_full_name(driver)),
        *("--json_serialized_invocation_args", "{{$}}"),
        "--json_serialized_inputs_spec_args",
        arguments["--json_serialized_inputs_spec_args"],
        "--json_serialized_outputs_spec_args",
        json.dumps(component.get("outputDefinitions", {}), sort_keys=True),
    ]
    precheck.get("resources", {}).pop("accelerator", None)
    spec["deploymentSpec"]["executors"][f"{name}_executor"] = {"container": precheck}
    spec["components"][name] = {
        "executorLabel": f"{name}_executor",
        "inputDefinitions": copy.deepcopy(component["inputDefinitions"]),
        "outputDefinitions": {"parameters": {DRIVER_OUTPUT: {"parameterType": "STRING"}}},
    }
    spec["root"]["dag"]["tasks"][name] = {
        **copy.deepcopy(task),
        "cachingOptions": {},
        "componentRef": {"name": name},
        "taskInfo": {"name": name},
    }

    component["inputDefinitions"]["parameters"][DRIVER_OUTPUT] = {"parameterType": "STRING"}
    task["inputs"]["parameters"][DRIVER_OUTPUT] = {
        "taskOutputParameter": {"producerTask": name, "outputParameterKey": DRIVER_OUTPUT}
    }
    task["dependentTasks"] = sorted([*task.get("dependentTasks", []), name])
    return name


def property_value(value: Any) -> Any:
    """Converts an execution property to a JSON value, as TFX's compiler does."""
    return json_format.MessageToDict(compiler_utils.value_converter(value))["constant"]
