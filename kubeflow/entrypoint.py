"""The command of each container: `python -m kubeflow.entrypoint`.

TFX's own entrypoint expects the arguments of Vertex AI. This module corrects the arguments that
open-source Kubeflow sends, and passes them on to TFX:

- Inputs arrive without types. The step's declaration supplies them.
- A custom driver runs as a task of its own (`kubeflow.compile`). Its result arrives as a parameter.
- Artifacts are at the local paths of the launcher's mounts, not at their URIs.
- The outputs include a log that the launcher itself writes.
- Runtime parameters are keys of the config, not properties of the step.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kubeflow.blueprint import Blueprint

Json = dict[str, Any]

# The environment variable of the folder that holds the launcher's mounts instead of `/`. Only the
# dry run sets it, because it must not write to this machine's own `/gcs`, `/s3` or `/minio`.
MOUNTS = "RETRAIN_MOUNTS"
# The environment variable with the number of GPUs that the step's container books.
GPUS = "RETRAIN_GPUS"
# Scheme -> the launcher's mount (component/launcher_v2.go: LocalPathForURI).
_MOUNTED = {"gs": "gcs", "s3": "s3", "minio": "minio"}
# Kubeflow's driver adds this output to every step. TFX does not know its type.
LOGS = "executor-logs"
# The parameter in which a step receives the result of its driver.
DRIVER_OUTPUT = "driver_output"
# Artifacts of these types are files, not folders.
_VALUES = ("tfx.String", "tfx.Integer", "tfx.Float", "tfx.Boolean", "tfx.JsonValue")


@dataclasses.dataclass(frozen=True)
class _Arguments:
    """The command line that `kubeflow.compile` writes."""

    step: str  # the component's id in the graph
    executor: str | None  # the path of the executor's class; None if the driver is to run
    driver: str | None  # the path of the driver's class
    invocation: Json  # Kubeflow's ExecutorInput
    inputs: Json  # the step's ComponentInputsSpec, without runtime parameters
    outputs: Json  # the step's ComponentOutputsSpec; only drivers need it
    beam: tuple[str, ...]  # all other arguments, which are Beam's


def _parse(arguments: Sequence[str]) -> _Arguments:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    add = parser.add_argument
    add("--step", required=True)
    add("--executor_class_path", dest="executor")
    add("--driver_class_path", dest="driver")
    add("--json_serialized_invocation_args", dest="invocation", type=json.loads, required=True)
    add("--json_serialized_inputs_spec_args", dest="inputs", type=json.loads, default={})
    add("--json_serialized_outputs_spec_args", dest="outputs", type=json.loads, default={})
    known, rest = parser.parse_known_args(arguments)
    return _Arguments(**vars(known), beam=tuple(rest))


def _fill_in_types(invocation: Json, inputs: Json) -> None:
    """Sets the declared types of input artifacts, because Kubeflow's driver sends empty types."""
    for key, artifact in _artifacts(invocation.get("inputs", {})):
        if not artifact.get("type", {}).get("instanceSchema"):
            artifact["type"] = inputs["artifacts"][key]["artifactType"]


def mounted(uri: str) -> str:
    """Returns the path at which the launcher mounts a URI, relative to the container's root.

    The path is empty if the launcher does not mount storage of the URI's scheme.
    """
    scheme, separator, key = uri.partition("://")
    return f"{_MOUNTED[scheme]}/{key}" if separator and scheme in _MOUNTED else ""


def local_path(uri: str) -> str:
    """Returns the path at which the launcher mounts a URI; the URI itself if it is not mounted."""
    path = mounted(uri)
    return f"{os.environ.get(MOUNTS, '').rstrip('/')}/{path}" if path else uri


def _localize(invocation: Json) -> dict[str, str]:
    """Replaces the URIs of all artifacts by local paths; returns local path -> URI."""
    originals = {}
    for side in ("inputs", "outputs"):
        for _, artifact in _artifacts(invocation.get(side, {})):
            uri = artifact["uri"]
            artifact["uri"] = local_path(uri)
            originals[artifact["uri"]] = uri
    return originals


def _restore(output: Json, originals: Mapping[str, str]) -> None:
    """Replaces local paths by URIs, for the launcher and later steps; `originals` maps them."""
    for _, artifact in _artifacts(output):
        artifact["uri"] = originals.get(artifact["uri"], artifact["uri"])
        metadata = artifact.get("metadata", {})
        for key, value in metadata.items():
            if isinstance(value, str):
                metadata[key] = originals.get(value, value)


def _merge_driver_output(invocation: Json, inputs: Json, found: Json) -> None:
    """Copies the driver's result, `found`, into the step's parameters and outputs' metadata."""
    for key, value in found["parameters"].items():
        invocation["inputs"]["parameterValues"][key] = value
        _declare(inputs, key, value)
    for key, artifact in _artifacts(invocation.get("outputs", {})):
        artifact.setdefault("metadata", {}).update(found["metadata"].get(key, {}))


def _run(arguments: _Arguments) -> None:
    """Runs the step's executor or, if the arguments name one, the step's driver."""
    invocation = arguments.invocation
    values = invocation.setdefault("inputs", {}).setdefault("parameterValues", {})
    _take_runtime_parameters(arguments, values)
    found = values.pop(DRIVER_OUTPUT, None)
    invocation.setdefault("outputs", {}).setdefault("artifacts", {}).pop(LOGS, None)
    _fill_in_types(invocation, arguments.inputs)
    originals = _localize(invocation)
    if arguments.driver is not None:
        from kubeflow import drivers

        drivers.run(arguments.driver, invocation, arguments.inputs, arguments.outputs)
        return
    if found is not None:
        _merge_driver_output(invocation, arguments.inputs, json.loads(found))
    _make_folders(invocation)
    _check_gpus(os.environ)
    # Heavy, and not needed by the dry run, which imports this module.
    from tfx.dsl.io import fileio
    from tfx.orchestration.kubeflow.v2.container import kubeflow_v2_run_executor

    from components import in_process

    in_process.prefer()
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
    _restore(output, originals)
    with fileio.open(file, "w") as rewritten:
        rewritten.write(json.dumps(output))


def _take_runtime_parameters(arguments: _Arguments, values: Json) -> None:
    """Removes runtime parameters from the step's `values`; wires the step again if any changed."""
    from kubeflow.blueprint import SPAN, VARIABLE, Blueprint, name_of
    from pipeline.config import parse as parse_value

    plan = Blueprint.from_json(os.environ[VARIABLE])
    changed: Json = {}
    for key, compiled in plan.parameters().items():
        if name_of(key) not in values:
            continue
        value = values.pop(name_of(key))
        if key == SPAN:
            value = parse_value(value, key)
        elif isinstance(compiled, int):
            value = int(value)  # all of Kubeflow's numbers are floats
        if value != compiled:
            changed[key] = value
    if changed:
        plan = plan.changed(changed)
        _rewire(arguments, values, plan)
    if plan.schema_file() in values.values():
        plan.schema_file(write=True)


def _rewire(arguments: _Arguments, values: Json, plan: Blueprint) -> None:
    """Replaces the step's properties in `values` by those of the graph that `plan` describes."""
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
    """Declares a property's type; TFX reads a number as an integer only if declared as one."""
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


def _check_gpus(environment: Mapping[str, str]) -> None:
    """Fails if the container books GPUs and TensorFlow sees fewer."""
    booked = int(environment.get(GPUS, 0))
    if not booked:
        return
    import tensorflow as tf  # heavy, and not needed by the dry run, which imports this module

    found = len(tf.config.list_physical_devices("GPU"))
    if found < booked:
        raise RuntimeError(
            f"this step books {booked} GPUs and TensorFlow sees {found}: build the image with"
            " --build-arg EXTRA=gpu, and see that the node's driver fits its CUDA"
        )


def main(arguments: Sequence[str]) -> int:
    """Runs the executor or the driver that the command line names.

    Returns:
        The exit code: 0, or 1 if the step failed or refused. The last line on standard error then
        has the reason.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    parsed = _parse(arguments)
    try:
        _run(parsed)
    except Exception as error:
        from components.refusal import RefusedError  # loads TFX, as every step does

        # Whatever the error is, the cluster needs an exit code and a person needs the reason.
        if isinstance(error, RefusedError):
            last = f"refused: {' '.join(error.refusal.reasons)}"
        else:
            last = f"failed: {error}"
            traceback.print_exc()
        print(f"{parsed.step} {last}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    # With this switch kfp loads without its client, which took a third of a step's start-up time.
    os.environ["_KFP_RUNTIME"] = "true"
    sys.exit(main(sys.argv[1:]))
