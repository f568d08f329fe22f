"""Compiles the graph into what open-source Kubeflow Pipelines runs: `pipeline.yaml`.

TFX's compiler does the graph; this adds what its output lacks there (a task for each custom driver,
runtime parameters, resources and the like) and refuses what the cluster would refuse. The same
config and code give the same bytes; nothing is written elsewhere and no network is used.
"""

from __future__ import annotations

import contextlib
import copy
import json
from typing import Any

import yaml
from google.protobuf import json_format
from tfx.dsl.components.base import base_component, base_driver, base_node
from tfx.dsl.components.common import resolver
from tfx.orchestration.kubeflow.v2 import compiler_utils, pipeline_builder
from tfx.orchestration.kubeflow.v2.kubeflow_v2_dag_runner import (
    KubeflowV2DagRunner,
    KubeflowV2DagRunnerConfig,
)
from tfx.orchestration.pipeline import Pipeline
from tfx.utils import name_utils

from kubeflow import acceptance, platform_spec
from kubeflow.blueprint import SPAN, VARIABLE, Blueprint, blueprint, is_text, name_of
from pipeline.config import Config, ConfigError, Step, did_you_mean

Spec = dict[str, Any]

COMMAND = ["python", "-m", "kubeflow.entrypoint"]
# The parameter in which a step gets what its driver found, and the task that runs the driver.
DRIVER_OUTPUT = "driver_output"
_PRECHECK = "precheck"
_IMAGE = "retrain:latest"
_GPU = "nvidia.com/gpu"
_NUMBERS = {int: "NUMBER_INTEGER", float: "NUMBER_DOUBLE"}
# Far enough for another property, and near enough to stay between the two ends of a bound.
_STEP = 1e-6


def compile_for_kubeflow(config: Config) -> str:
    """Compiles for open-source Kubeflow Pipelines.

    Returns:
        YAML: the pipeline spec and, where the config needs it, the platform spec after it.

    Raises:
        ConfigError: the config names a step that is not there, or cannot be compiled, or the
            cluster would refuse what comes of it.
    """
    plan = blueprint(config)
    graph = plan.graph()
    spec = _spec(config, plan, graph)
    platform = _platform(config, spec)
    documents = [spec, platform] if platform else [spec]
    try:
        acceptance.check(*documents)
    except acceptance.RefusedError as error:
        raise ConfigError(f"the cluster would refuse this pipeline: {error}") from error
    return yaml.safe_dump_all(documents, sort_keys=True, width=100, allow_unicode=True)


def compile_for_vertex(config: Config) -> str:
    """Compiles for Vertex AI Pipelines.

    Returns:
        JSON: a PipelineJob.

    Raises:
        ConfigError: as `compile_for_kubeflow`, and if the config asks for what only Kubernetes has.
    """
    plan = blueprint(config)
    graph = plan.graph()
    spec = _spec(config, plan, graph)
    platform = _platform(config, spec)
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
    """Returns the pipeline's name as Kubernetes takes it."""
    return config.name.replace("_", "-").strip("-")


def _spec(config: Config, plan: Blueprint, graph: Pipeline) -> Spec:
    _check_nodes(config, graph)
    graph.pipeline_info.pipeline_name = pipeline_name(config)
    images = {
        node.id: config.kubeflow.step(node.id).image or _IMAGE for node in graph.components
    } | {pipeline_builder.DEFAULT_IMAGE_PATH_KEY: _IMAGE}
    runner = KubeflowV2DagRunner(
        KubeflowV2DagRunnerConfig(
            default_image=images, default_commands=COMMAND, use_pipeline_spec_2_1=True
        )
    )
    spec: Spec = runner.run(graph, write_out=False)["pipelineSpec"]
    _add_parameters(spec, plan, graph)
    for node in graph.components:
        if _container(spec, node.id) is not None:
            _set_up(spec, node, plan, config.kubeflow.step(node.id))
            _add_precheck(spec, node)
    return spec


def _check_nodes(config: Config, graph: Pipeline) -> None:
    ids = [node.id for node in graph.components]
    for name in config.kubeflow.steps or {}:
        if name not in ids:
            raise ConfigError(
                f"kubeflow.steps: found {name}; allowed: {', '.join(ids)}{did_you_mean(name, ids)}"
            )
    for node in graph.components:
        if isinstance(node, resolver.Resolver):
            raise ValueError(
                f"{node.id} is a Resolver, which open-source Kubeflow Pipelines does not run;"
                " a component that reads the file system can do its work"
            )


def _platform(config: Config, spec: Spec) -> Spec:
    # A precheck is a container of its step.
    return platform_spec.of(
        {
            f"{task}_executor": config.kubeflow.step(task.removesuffix(f"-{_PRECHECK}"))
            for task in spec["root"]["dag"]["tasks"]
            if _container(spec, task) is not None
        }
    )


def _container(spec: Spec, node: str) -> Spec | None:
    executor: Spec = spec["deploymentSpec"]["executors"][f"{node}_executor"]
    return executor.get("container")


def _add_parameters(spec: Spec, plan: Blueprint, graph: Pipeline) -> None:
    """Gives each step the runtime parameters on which its properties depend."""
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
    """Returns the blueprint with another value for a key, to see what depends on it.

    None if no other is allowed, as for `max` beside a `min` of 1.
    """
    candidates: list[Any]
    if key == SPAN:
        candidates = [0 if value == "latest" else value + 1]
    elif isinstance(value, str):
        candidates = [f"{value}-other"]
    else:
        step = 1 if isinstance(value, int) else _STEP
        candidates = [value + step, value - step]
    for candidate in candidates:
        with contextlib.suppress(ConfigError):
            return plan.changed({key: candidate})
    return None


def _set_up(spec: Spec, node: base_node.BaseNode, plan: Blueprint, step: Step) -> None:
    """Puts into the spec what the config says of a step, and what its container needs."""
    container = _container(spec, node.id)
    assert container is not None
    container.pop("lifecycle", None)  # open-source Kubeflow ignores it; see `_add_precheck`
    container["args"][:0] = ["--step", node.id]
    variables = {VARIABLE: plan.to_json(), **(step.env or {})}
    container["env"] = [{"name": key, "value": value} for key, value in variables.items()]
    resources: Spec = {}
    if step.cpu is not None:
        resources["cpuLimit"] = step.cpu
    if step.memory is not None:
        resources["memoryLimit"] = step.memory
    if step.gpu:
        resources["accelerator"] = {"type": step.gpu_type or _GPU, "count": str(step.gpu)}
    if resources:
        container["resources"] = resources
    task = spec["root"]["dag"]["tasks"][node.id]
    task["cachingOptions"] = {"enableCache": True} if step.cache is not False else {}
    if step.retry is not None and step.retry.times:
        retry: Spec = {
            "maxRetryCount": step.retry.times,
            "backoffDuration": f"{step.retry.wait}s",
            "backoffFactor": step.retry.factor,
        }
        if step.retry.longest is not None:
            retry["backoffMaxDuration"] = f"{step.retry.longest}s"
        task["retryPolicy"] = retry


def _add_precheck(spec: Spec, node: base_node.BaseNode) -> None:
    """Gives a custom driver a task of its own, before the step and never cached.

    The driver finds out what the cache key must hold: the span that is there now, the version in
    production. What it finds becomes a parameter of the step, and so part of Kubeflow's key.
    """
    driver = node.driver_class if isinstance(node, base_component.BaseComponent) else None
    if driver in (None, base_driver.BaseDriver):
        return
    name = f"{node.id}-{_PRECHECK}"
    component, task = spec["components"][node.id], spec["root"]["dag"]["tasks"][node.id]
    container = _container(spec, node.id)
    assert container is not None

    precheck = copy.deepcopy(container)
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


def property_value(value: Any) -> Any:
    """Converts a component's property as TFX's compiler does, to plain JSON."""
    return json_format.MessageToDict(compiler_utils.value_converter(value))["constant"]
