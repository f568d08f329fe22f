"""The SpanDrift component: how does this span compare with the one that was accepted before?

It only finds and tells; the DataGate decides, as a component that fails loses what it wrote.
"""

from __future__ import annotations

import os
from typing import Any

import tensorflow_data_validation as tfdv
from tfx import types
from tfx.components.statistics_gen.executor import DEFAULT_FILE_NAME
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.dsl.io import fileio
from tfx.orchestration.portable import data_types
from tfx.proto.orchestration import driver_output_pb2
from tfx.types import artifact_utils, channel_utils, component_spec, standard_artifacts
from tfx.types.channel import BaseChannel

from components import statistics_store
from components.image_example_gen import intake
from components.span_drift import comparison
from components.span_drift.report import FILE_NAME, DriftReport
from components.store_driver import StoreDriver
from trainer import fingerprint
from trainer.features import MEASURED

EXAMPLES_KEY = "examples"
STATISTICS_KEY = "statistics"
DRIFT_KEY = "drift"
STORE_KEY = "statistics_store"
PREVIOUS_KEY = "previous"
PREVIOUS_DIGEST_KEY = "previous_digest"
MAX_DIVERGENCE_KEY = "max_divergence"
MAX_LABEL_DISTANCE_KEY = "max_label_distance"
CODE_KEY = "code"
SPLIT = "train"
NO_SPAN = -1


class SpanDriftSpec(component_spec.ComponentSpec):
    """What goes into the component and comes out of it."""

    PARAMETERS = {
        STORE_KEY: component_spec.ExecutionParameter(type=str),
        PREVIOUS_KEY: component_spec.ExecutionParameter(type=int),
        PREVIOUS_DIGEST_KEY: component_spec.ExecutionParameter(type=str),
        MAX_DIVERGENCE_KEY: component_spec.ExecutionParameter(type=float),
        MAX_LABEL_DISTANCE_KEY: component_spec.ExecutionParameter(type=float),
        CODE_KEY: component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {
        EXAMPLES_KEY: component_spec.ChannelParameter(type=standard_artifacts.Examples),
        STATISTICS_KEY: component_spec.ChannelParameter(type=standard_artifacts.ExampleStatistics),
    }
    OUTPUTS = {DRIFT_KEY: component_spec.ChannelParameter(type=standard_artifacts.ExampleAnomalies)}


def statistics_file(statistics: list[types.Artifact]) -> str:
    """Returns the file of the statistics that are compared and kept: those of train."""
    folder: str = artifact_utils.get_split_uri(statistics, SPLIT)
    return os.path.join(folder, DEFAULT_FILE_NAME)


class Driver(StoreDriver):
    """Looks up the span to compare with, so that it becomes part of the cache key."""

    def run(self, execution_info: data_types.ExecutionInfo) -> driver_output_pb2.DriverOutput:
        """Returns the number of the last span before that passed the gate, and a digest of it."""
        examples = artifact_utils.get_single_instance(execution_info.input_dict[EXAMPLES_KEY])
        store = execution_info.exec_properties[STORE_KEY]
        previous = statistics_store.before(store, intake.read(examples.uri).span)
        output = driver_output_pb2.DriverOutput()
        found = output.exec_properties
        found[PREVIOUS_KEY].int_value = NO_SPAN if previous is None else previous
        found[PREVIOUS_DIGEST_KEY].string_value = (
            "" if previous is None else statistics_store.digest(store, previous)
        )
        return output


class Executor(base_executor.BaseExecutor):
    """Writes the report of what drifted."""

    def Do(  # noqa: N802, the name is TFX's
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Compares the train split with that of the span which the driver found."""
        examples = artifact_utils.get_single_instance(input_dict[EXAMPLES_KEY])
        span = intake.read(examples.uri).span
        store, number = exec_properties[STORE_KEY], exec_properties[PREVIOUS_KEY]
        previous = None if number == NO_SPAN else number
        changes = []
        if previous is not None:
            changes = comparison.changes(
                tfdv.load_stats_binary(statistics_store.path(store, previous)),
                tfdv.load_stats_binary(statistics_file(input_dict[STATISTICS_KEY])),
                MEASURED,
                exec_properties[MAX_DIVERGENCE_KEY],
                exec_properties[MAX_LABEL_DISTANCE_KEY],
            )
        drift = artifact_utils.get_single_instance(output_dict[DRIFT_KEY])
        drift.split_names = artifact_utils.encode_split_names([SPLIT])
        with fileio.open(os.path.join(drift.uri, FILE_NAME), "w") as file:
            file.write(DriftReport(span, previous, tuple(changes)).as_json())


class SpanDrift(base_component.BaseComponent):
    """Compares labels and image features with those of the span before."""

    SPEC_CLASS = SpanDriftSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)
    DRIVER_CLASS = Driver

    def __init__(
        self,
        examples: BaseChannel,
        statistics: BaseChannel,
        statistics_store: str,
        max_divergence: float,
        max_label_distance: float,
    ) -> None:
        """Declares the component.

        Args:
            examples: channel of `Examples`, from ImageExampleGen, whose report has the span.
            statistics: channel of `ExampleStatistics` of the same span.
            statistics_store: folder of the statistics of accepted spans.
            max_divergence: allowed Jensen-Shannon divergence of an image feature, in [0, 1].
            max_label_distance: allowed change of a class's share, in [0, 1].
        """
        super().__init__(
            SpanDriftSpec(
                examples=examples,
                statistics=statistics,
                statistics_store=statistics_store,
                previous=NO_SPAN,
                previous_digest="",
                max_divergence=max_divergence,
                max_label_distance=max_label_distance,
                # Unused, but a change of the code must not be answered from the cache.
                code=fingerprint.digest(("span_drift", "statistics_store.py"), {}, "components"),
                drift=channel_utils.as_channel([standard_artifacts.ExampleAnomalies()]),
            )
        )
