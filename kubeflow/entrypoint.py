"""What each container runs: `python -m kubeflow.entrypoint`.

TFX's own entrypoint expects what Vertex AI sends. This one takes what open-source Kubeflow sends,
mends it, and hands it on to TFX:

- inputs come without their types, which the step's own declaration fills in;
- a custom driver gets a task of its own (`kubeflow.compile`), and its findings come as a parameter;
- artifacts lie where the launcher put them, not at their URIs;
- among the outputs is a log that is the launcher's to write;
- runtime parameters are keys of the config, not properties of the step.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Json = dict[str, Any]

# Under which the launcher mounts object stores (component/launcher_v2.go: LocalPathForURI). Only
# the local launcher sets it, as the folders themselves belong to the machine.
MOUNTS = "RETRAIN_MOUNTS"
_MOUNTED = {"gs://": "/gcs/", "s3://": "/s3/", "minio://": "/minio/"}
# The driver adds it to every step's outputs; the launcher writes it, and TFX knows no such type.
_LOGS = "executor-logs"
# Artifacts of these types are files, not folders.
_VALUES = ("tfx.String", "tfx.Integer", "tfx.Float", "tfx.Boolean", "tfx.JsonValue")


@dataclasses.dataclass(frozen=True)
class Arguments:
    """The command line that `kubeflow.compile` writes.

    Attributes:
        step: the component's id in the graph.
        executor: path of the executor's class; None where the driver is to run.
        driver: path of the driver's class, or None.
        invocation: Kubeflow's ExecutorInput.
        inputs: the step's ComponentInputsSpec, without runtime parameters.
        outputs: the step's ComponentOutputsSpec; only drivers need it.
        beam: what is left over, which is Beam's.
    """

    step: str
    executor: str | None
    driver: str | None
    invocation: Json
    inputs: Json
    outputs: Json
    beam: tuple[str, ...]


def parse(arguments: Sequence[str]) -> Arguments:
    """Reads the command line."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--step", required=True)
    parser.add_argument("--executor_class_path")
    parser.add_argument("--driver_class_path")
    parser.add_argument("--json_serialized_invocation_args", type=json.loads, required=True)
    parser.add_argument("--json_serialized_inputs_spec_args", type=json.loads, default={})
    parser.add_argument("--json_serialized_outputs_spec_args", type=json.loads, default={})
    known, rest = parser.parse_known_args(arguments)
    return Arguments(
        step=known.step,
        executor=known.executor_class_path,
        driver=known.driver_class_path,
        invocation=known.json_serialized_invocation_args,
        inputs=known.json_serialized_inputs_spec_args,
        outputs=known.json_serialized_outputs_spec_args,
        beam=tuple(rest),
    )


def fill_in_types(invocation: Json, inputs: Json) -> None:
    """Gives input artifacts the declared types; the driver sends them with empty ones."""
    for key, artifact in _artifacts(invocation.get("inputs", {})):
        if not artifact.get("type", {}).get("instanceSchema"):
            artifact["type"] = inputs["artifacts"][key]["artifactType"]


def local_path(uri: str) -> str:
    """Returns where the launcher puts what lies at a URI; other URIs stay as they are."""
    for scheme, folder in _MOUNTED.items():
        if uri.startswith(scheme):
            root = os.environ.get(MOUNTS, "").rstrip("/")
            return f"{root}{folder}{uri.removeprefix(scheme)}"
    return uri


def localize(invocation: Json) -> dict[str, str]:
    """Points artifacts to their local paths; returns local path -> URI."""
    originals = {}
    for side in ("inputs", "outputs"):
        for _, artifact in _artifacts(invocation.get(side, {})):
            uri = artifact["uri"]
            artifact["uri"] = local_path(uri)
            originals[artifact["uri"]] = uri
    return originals


def restore(output: Json, originals: Mapping[str, str]) -> None:
    """Writes the URIs back, as the launcher uploads to them and others read them."""
    for _, artifact in _artifacts(output):
        artifact["uri"] = originals.get(artifact["uri"], artifact["uri"])
        metadata = artifact.get("metadata", {})
        for key, value in metadata.items():
            if isinstance(value, str):
                metadata[key] = originals.get(value, value)


def merge_driver_output(invocation: Json, inputs: Json, found: Json) -> None:
    """Puts what the driver found into the step's parameters and its outputs' metadata."""
    for key, value in found["parameters"].items():
        invocation["inputs"]["parameterValues"][key] = value
        _declare(inputs, key, value)
    for key, artifact in _artifacts(invocation.get("outputs", {})):
        artifact.setdefault("metadata", {}).update(found["metadata"].get(key, {}))


def run(arguments: Arguments) -> None:
    """Does the step's work, or its driver's."""
    invocation = arguments.invocation
    values = invocation.setdefault("inputs", {}).setdefault("parameterValues", {})
    _take_runtime_parameters(arguments, values)
    found = values.pop("driver_output", None)
    invocation.setdefault("outputs", {}).setdefault("artifacts", {}).pop(_LOGS, None)
    fill_in_types(invocation, arguments.inputs)
    originals = localize(invocation)
    if arguments.driver is not None:
        from kubeflow import drivers

        drivers.run(arguments.driver, invocation, arguments.inputs, arguments.outputs)
        return
    if found is not None:
        merge_driver_output(invocation, arguments.inputs, json.loads(found))
    _make_folders(invocation)
    # Heavy, and the parts above are of use without it.
    from tfx.dsl.io import fileio
    from tfx.orchestration.kubeflow.v2.container import kubeflow_v2_run_executor

    kubeflow_v2_run_executor._run_executor(
        argparse.Namespace(
            executor_class_path=arguments.executor,
            json_serialized_invocation_args=json.dumps(invocation),
            json_serialized_inputs_spec_args=json.dumps(arguments.inputs),
        ),
        list(arguments.beam),
    )
    file = invocation["outputs"]["outputFile"]
    with fileio.open(file, "r") as written:
        output = json.loads(written.read())
    restore(output, originals)
    with fileio.open(file, "w") as rewritten:
        rewritten.write(json.dumps(output))


def _take_runtime_parameters(arguments: Arguments, values: Json) -> None:
    """Takes the runtime parameters out of the step's parameters and acts on those that differ."""
    from kubeflow.blueprint import SPAN, VARIABLE, Blueprint, name_of

    plan = Blueprint.from_json(os.environ[VARIABLE])
    from pipeline.config import parse as parse_value

    changed: Json = {}
    for key, compiled in plan.parameters().items():
        if name_of(key) not in values:
            continue
        value = values.pop(name_of(key))
        if key == SPAN:
            value = parse_value(value, key)
        elif isinstance(compiled, int):
            value = int(value)  # Kubeflow knows one kind of number
        if value != compiled:
            changed[key] = value
    if changed:
        plan = plan.changed(changed)
        _rewire(arguments, values, plan)
    if plan.schema_file in values.values():
        plan.write_schema()


def _rewire(arguments: Arguments, values: Json, plan: Any) -> None:
    """Replaces the step's properties by those that it has in the graph of another config."""
    from kubeflow.compile import property_value

    (node,) = (node for node in plan.graph().components if node.id == arguments.step)
    properties = {k: v for k, v in node.exec_properties.items() if v is not None}
    declared = arguments.inputs.setdefault("parameters", {})
    for key in declared.keys() - properties.keys():
        values.pop(key, None)
    for key, value in properties.items():
        values[key] = property_value(value)
        _declare(arguments.inputs, key, value)


def _declare(inputs: Json, key: str, value: Any) -> None:
    """Declares a property, as TFX takes a number for an integer only where it is declared so."""
    kind = "NUMBER_INTEGER" if isinstance(value, int) else "STRING"
    inputs.setdefault("parameters", {}).setdefault(key, {"parameterType": kind})


def _make_folders(invocation: Json) -> None:
    from tfx.dsl.io import fileio

    for _, artifact in _artifacts(invocation.get("outputs", {})):
        title = artifact.get("type", {}).get("instanceSchema", "").partition("\n")[0]
        if title.removeprefix("title: ") not in _VALUES:
            fileio.makedirs(artifact["uri"])


def _artifacts(side: Mapping[str, Any]) -> Iterator[tuple[str, Json]]:
    for key, listed in side.get("artifacts", {}).items():
        for artifact in listed.get("artifacts", []):
            yield key, artifact


def main(arguments: Sequence[str]) -> int:
    """Runs the container's work.

    Returns:
        0, or 1 if it failed; the last line on standard error then says why.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    parsed = parse(arguments)
    try:
        run(parsed)
    except Exception as error:
        # Whatever it is, the cluster needs an exit code and a person a last line.
        traceback.print_exc()
        print(f"{parsed.step} failed: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    # Kubeflow's switch for what runs inside containers: its package loads without its client,
    # which took a third of the seconds before a step began.
    os.environ["_KFP_RUNTIME"] = "true"
    sys.exit(main(sys.argv[1:]))
