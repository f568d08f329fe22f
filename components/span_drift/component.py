"""The SpanDrift component, which compares this span with the last accepted span before it.

It only reports drift. The DataGate refuses, since TFX deletes a failed component's outputs.
"""

import os
from dataclasses import replace

import tensorflow as tf
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.io import fileio
from tfx.orchestration.portable import data_types
from tfx.proto.orchestration import driver_output_pb2
from tfx.types import artifact_utils, standard_artifacts

from components import statistics_store as accepted
from components.function_component import component
from components.image_example_gen import intake
from components.span_drift import comparison, sample
from components.span_drift.options import Drift
from components.span_drift.report import FILE_NAME, LEAST_IMAGES, DriftReport
from components.store_driver import StoreDriver

_SPLIT = "train"
NO_SPAN = -1
SAMPLE_FILE = "sample.npz"


class Driver(StoreDriver):
    """Sets `previous` and `previous_digest`, the span to compare with, for the cache key."""

    def run(self, execution_info: data_types.ExecutionInfo) -> driver_output_pb2.DriverOutput:
        """Returns the last accepted span before this one, and the digest of its sample."""
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
    drift: OutputArtifact[standard_artifacts.ExampleAnomalies],
    statistics_store: Parameter[str],
    options: Parameter[str],
    previous: Parameter[int] = NO_SPAN,
    previous_digest: Parameter[str] = "",
    code: Parameter[str] = "",
) -> None:
    """Compares labels and images of train with those of the last accepted span.

    Args:
        examples: ImageExampleGen's output; its `intake.json` holds the span's number.
        drift: gets the `DriftReport` as JSON, and the `Sample` of the span.
        statistics_store: folder of the samples of accepted spans.
        options: the section `data.drift` as JSON; its `action` is the DataGate's.
        previous: number of the span to compare with, set by the driver; `NO_SPAN` for none.
        previous_digest: digest of that span's sample, for the cache key.
        code: fingerprint of the code, for the cache key.
    """
    came_in = intake.read(examples.uri)
    folder = artifact_utils.get_split_uri([examples], _SPLIT)
    files = tf.io.gfile.glob(os.path.join(folder, "*"))
    taken = sample.take(files, came_in.classes.get(_SPLIT, {}))
    taken.save(os.path.join(drift.uri, SAMPLE_FILE))
    found = DriftReport(came_in.span, None)
    if previous != NO_SPAN:
        before = sample.load(accepted.path(statistics_store, previous))
        found = compare(before, taken, (previous, came_in.span), Drift.model_validate_json(options))
    drift.split_names = artifact_utils.encode_split_names([_SPLIT])
    with fileio.open(os.path.join(drift.uri, FILE_NAME), "w") as file:
        file.write(found.as_json())


def compare(
    before: sample.Sample, after: sample.Sample, spans: tuple[int, int], options: Drift
) -> DriftReport:
    """Compares two spans; `spans` are the numbers of the earlier and the later one."""
    images = len(before), len(after)
    found: DriftReport = DriftReport(spans[1], spans[0], images=images)
    if min(images) < LEAST_IMAGES:
        return found
    changes, tests = comparison.changes(before, after, options)
    return replace(found, changes=tuple(changes), tests=tests, significance=options.significance)
