"""The SpanDrift component, which compares this span with the last accepted span before it.

It only reports drift. The DataGate refuses, since TFX deletes a failed component's outputs.
"""

import os

import tensorflow_data_validation as tfdv
from tfx import types
from tfx.components.statistics_gen.executor import DEFAULT_FILE_NAME
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.io import fileio
from tfx.orchestration.portable import data_types
from tfx.proto.orchestration import driver_output_pb2
from tfx.types import artifact_utils, standard_artifacts

from components import statistics_store as accepted
from components.function_component import component
from components.image_example_gen import intake
from components.span_drift import comparison
from components.span_drift.report import FILE_NAME, DriftReport
from components.store_driver import StoreDriver
from trainer.features import MEASURED

_SPLIT = "train"
NO_SPAN = -1


def statistics_file(statistics: list[types.Artifact]) -> str:
    """Returns the path of the statistics of train, which are compared and stored."""
    folder: str = artifact_utils.get_split_uri(statistics, _SPLIT)
    return os.path.join(folder, DEFAULT_FILE_NAME)


class Driver(StoreDriver):
    """Sets `previous` and `previous_digest`, the span to compare with, for the cache key."""

    def run(self, execution_info: data_types.ExecutionInfo) -> driver_output_pb2.DriverOutput:
        """Returns the last accepted span before this one, and the digest of its statistics."""
        examples = artifact_utils.get_single_instance(execution_info.input_dict["examples"])
        store = execution_info.exec_properties["statistics_store"]
        previous = accepted.before(store, intake.read(examples.uri).span)
        output = driver_output_pb2.DriverOutput()
        found = output.exec_properties
        found["previous"].int_value = NO_SPAN if previous is None else previous
        digest = "" if previous is None else accepted.digest(store, previous)
        found["previous_digest"].string_value = digest
        return output


@component("span_drift", "statistics_store.py", driver=Driver)
def SpanDrift(  # noqa: N802, a component's name
    examples: InputArtifact[standard_artifacts.Examples],
    statistics: InputArtifact[standard_artifacts.ExampleStatistics],
    drift: OutputArtifact[standard_artifacts.ExampleAnomalies],
    statistics_store: Parameter[str],
    max_divergence: Parameter[float],
    max_label_distance: Parameter[float],
    previous: Parameter[int] = NO_SPAN,
    previous_digest: Parameter[str] = "",
    code: Parameter[str] = "",
) -> None:
    """Compares labels and image features of train with those of the last accepted span.

    Args:
        examples: ImageExampleGen's output; its `intake.json` holds the span's number.
        statistics: StatisticsGen's output for the span.
        drift: gets the `DriftReport` as JSON.
        statistics_store: folder of the statistics of accepted spans.
        max_divergence: allowed Jensen-Shannon divergence of an image feature, in [0, 1].
        max_label_distance: allowed change of one class's share of the images, in [0, 1].
        previous: number of the span to compare with, set by the driver; `NO_SPAN` for none.
        previous_digest: digest of that span's statistics, for the cache key.
        code: fingerprint of the code, for the cache key.
    """
    before, changes = None, []
    if previous != NO_SPAN:
        before = previous
        changes = comparison.changes(
            tfdv.load_stats_binary(accepted.path(statistics_store, previous)),
            tfdv.load_stats_binary(statistics_file([statistics])),
            MEASURED,
            max_divergence,
            max_label_distance,
        )
    found = DriftReport(intake.read(examples.uri).span, before, tuple(changes))
    drift.split_names = artifact_utils.encode_split_names([_SPLIT])
    with fileio.open(os.path.join(drift.uri, FILE_NAME), "w") as file:
        file.write(found.as_json())
