"""Runs a step's custom driver, so that the driver's result enters Kubeflow's cache key."""

from __future__ import annotations

import json
from typing import Any

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2
from tfx import types
from tfx.dsl.io import fileio
from tfx.orchestration import data_types_utils
from tfx.orchestration.kubeflow.v2.container import kubeflow_v2_entrypoint_utils as tfx_utils
from tfx.orchestration.portable import data_types
from tfx.proto.orchestration import driver_output_pb2
from tfx.utils import import_utils

from kubeflow.entrypoint import DRIVER_OUTPUT

Json = dict[str, Any]
Artifacts = dict[str, list[types.Artifact]]


def run(driver: str, invocation: Json, inputs: Json, outputs: Json) -> None:
    """Runs a step's custom driver and writes the result as an output parameter of the task.

    `driver` is a class path, `invocation` an ExecutorInput with artifact types and local paths,
    `inputs` the step's ComponentInputsSpec, and `outputs` the step's ComponentOutputsSpec.
    """
    executor_input = json_format.ParseDict(
        invocation, pipeline_spec_pb2.ExecutorInput(), ignore_unknown_fields=True
    )
    inputs_spec = json_format.ParseDict(inputs, pipeline_spec_pb2.ComponentInputsSpec())
    properties = tfx_utils.parse_execution_properties(
        executor_input.inputs.parameter_values, executor_input.inputs.parameters, inputs_spec
    )
    expected = _expected(outputs)
    before = dict(properties)
    result = import_utils.import_class_by_path(driver)(None).run(
        data_types.ExecutionInfo(
            input_dict=tfx_utils.parse_raw_artifact_dict(executor_input.inputs.artifacts),
            output_dict=expected,
            exec_properties=properties,
        )
    )
    text = json.dumps(_summary(result, before, expected), sort_keys=True)
    file = executor_input.outputs.output_file
    fileio.makedirs(file.rpartition("/")[0])
    with fileio.open(file, "w") as written:
        written.write(json.dumps({"parameterValues": {DRIVER_OUTPUT: text}}))


def _expected(outputs: Json) -> Artifacts:
    """Returns output name -> a list of one empty artifact, which has the declared type."""
    spec = json_format.ParseDict(outputs, pipeline_spec_pb2.ComponentOutputsSpec())
    artifacts = pipeline_spec_pb2.ExecutorInput.Outputs()
    for key, declared in spec.artifacts.items():
        artifact = pipeline_spec_pb2.RuntimeArtifact(type=declared.artifact_type)
        artifacts.artifacts[key].artifacts.append(artifact)
    parsed: Artifacts = tfx_utils.parse_raw_artifact_dict(artifacts.artifacts)
    return parsed


def _summary(result: driver_output_pb2.DriverOutput, before: Json, expected: Artifacts) -> Json:
    """Returns the properties that the driver changed and the metadata that it set on outputs."""
    after = {
        key: data_types_utils.get_metadata_value(value)
        for key, value in result.exec_properties.items()
    }
    metadata = {}
    for key, listed in result.output_artifacts.items():
        (artifact,) = expected[key]
        (given,) = listed.artifacts
        artifact.set_mlmd_artifact(given)
        runtime = tfx_utils.to_runtime_artifact(artifact, {})
        metadata[key] = json_format.MessageToDict(runtime.metadata)
    return {
        "parameters": {k: v for k, v in after.items() if k not in before or before[k] != v},
        "metadata": metadata,
    }
