"""The DataGate component: it refuses a span that is not fit for training.

ExampleValidator and ImageExampleGen write what they find and always succeed. The gate is a
component of its own, because TFX deletes what a failed component wrote, and the anomalies and the
quarantined images must stay.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx import types
from tfx.components.example_validator.executor import DEFAULT_FILE_NAME
from tfx.dsl.components.base import base_component, executor_spec
from tfx.dsl.io import fileio
from tfx.types import artifact_utils, component_spec, standard_artifacts
from tfx.types.channel import BaseChannel

from components import refusal, statistics_store
from components.image_example_gen import intake
from components.span_drift.component import (
    DRIFT_KEY,
    STATISTICS_KEY,
    STORE_KEY,
    statistics_file,
)
from components.span_drift.report import FILE_NAME, DriftReport
from trainer import fingerprint

ANOMALIES_KEY = "anomalies"
EXAMPLES_KEY = "examples"
MAX_QUARANTINED_KEY = "max_quarantined"
MIN_CLASS_IMAGES_KEY = "min_class_images"
DRIFT_ACTION_KEY = "drift_action"
CODE_KEY = "code"
STOP = "stop"

# Features that the schema does not name are never read, so they can do no harm.
_HARMLESS = frozenset({anomalies_pb2.AnomalyInfo.SCHEMA_NEW_COLUMN})


class DataGateSpec(component_spec.ComponentSpec):
    """What goes into the component."""

    PARAMETERS = {
        MAX_QUARANTINED_KEY: component_spec.ExecutionParameter(type=float),
        MIN_CLASS_IMAGES_KEY: component_spec.ExecutionParameter(type=int),
        DRIFT_ACTION_KEY: component_spec.ExecutionParameter(type=str),
        STORE_KEY: component_spec.ExecutionParameter(type=str),
        CODE_KEY: component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {
        EXAMPLES_KEY: component_spec.ChannelParameter(type=standard_artifacts.Examples),
        ANOMALIES_KEY: component_spec.ChannelParameter(type=standard_artifacts.ExampleAnomalies),
        STATISTICS_KEY: component_spec.ChannelParameter(type=standard_artifacts.ExampleStatistics),
        DRIFT_KEY: component_spec.ChannelParameter(type=standard_artifacts.ExampleAnomalies),
    }
    OUTPUTS: dict[str, component_spec.ChannelParameter] = {}


def sentences(split: str, anomalies: anomalies_pb2.Anomalies) -> list[str]:
    """Says what is wrong with a split, a sentence for each anomaly that matters."""
    found = [
        f"{split}: {name}: {reason.description}"
        for name, info in sorted(anomalies.anomaly_info.items())
        for reason in info.reason
        if reason.type not in _HARMLESS
    ]
    if anomalies.data_missing:
        found.append(f"{split}: there are no examples.")
    return found


class Executor(refusal.Gate):
    """Judges a span by its intake, the anomalies of each split, and the drift report."""

    def judge(
        self,
        inputs: Mapping[str, list[types.Artifact]],
        outputs: Mapping[str, list[types.Artifact]],
        parameters: Mapping[str, Any],
    ) -> list[str]:
        """Says what is wrong with a span; keeps the statistics of a clean one for the next span."""
        examples = artifact_utils.get_single_instance(inputs[EXAMPLES_KEY])
        came_in = intake.read(examples.uri)
        found = intake.findings(
            came_in, parameters[MAX_QUARANTINED_KEY], parameters[MIN_CLASS_IMAGES_KEY]
        )
        artifact = artifact_utils.get_single_instance(inputs[ANOMALIES_KEY])
        for split in artifact_utils.decode_split_names(artifact.split_names):
            folder = artifact_utils.get_split_uri([artifact], split)
            with fileio.open(os.path.join(folder, DEFAULT_FILE_NAME), "rb") as file:
                anomalies = anomalies_pb2.Anomalies.FromString(file.read())
            found += sentences(split, anomalies)
        if parameters[DRIFT_ACTION_KEY] == STOP:
            drift = artifact_utils.get_single_instance(inputs[DRIFT_KEY])
            with fileio.open(os.path.join(drift.uri, FILE_NAME), "rb") as file:
                drifted = DriftReport.from_json(file.read().decode("utf-8"))
            found += [
                f"Drift from span {drifted.previous}: {change.sentence()}."
                for change in drifted.changes
            ]
        if not found:
            statistics = statistics_file(inputs[STATISTICS_KEY])
            statistics_store.publish(statistics, parameters[STORE_KEY], came_in.span)
        return found


class DataGate(base_component.BaseComponent):
    """Refuses a span that is not fit for training, so that nothing after it runs."""

    SPEC_CLASS = DataGateSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        examples: BaseChannel,
        anomalies: BaseChannel,
        statistics: BaseChannel,
        drift: BaseChannel,
        statistics_store: str,
        max_quarantined: float,
        min_class_images: int,
        drift_action: str,
    ) -> None:
        """Declares the component.

        Args:
            examples: channel of `Examples`, from ImageExampleGen, whose intake is read.
            anomalies: channel of `ExampleAnomalies`, from ExampleValidator.
            statistics: channel of `ExampleStatistics`, kept when the span passes.
            drift: channel of SpanDrift's report.
            statistics_store: where statistics are kept.
            max_quarantined: highest share of records in quarantine, in [0, 1].
            min_class_images: fewest images of train that each class must have.
            drift_action: "stop" if a span that drifted does not pass; "warn" otherwise.
        """
        super().__init__(
            DataGateSpec(
                examples=examples,
                anomalies=anomalies,
                statistics=statistics,
                drift=drift,
                statistics_store=statistics_store,
                max_quarantined=max_quarantined,
                min_class_images=min_class_images,
                drift_action=drift_action,
                # No code reads it; it makes a change of the gate's code miss the cache.
                code=fingerprint.digest(
                    ("data_gate", "refusal.py", "statistics_store.py"), {}, "components"
                ),
            )
        )
