"""The DataGate component: it refuses a span that is not fit for training.

ExampleValidator and ImageExampleGen report what they find and always succeed. A separate component
refuses the span, because TFX deletes the outputs of a failed component, and the anomalies and the
quarantined images must be kept.
"""

import os

from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx.components.example_validator.executor import DEFAULT_FILE_NAME
from tfx.dsl.component.experimental.annotations import InputArtifact, Parameter
from tfx.dsl.io import fileio
from tfx.types import artifact_utils, standard_artifacts
from tfx.utils import io_utils

from components import statistics_store as accepted
from components.function_component import component
from components.image_example_gen import intake
from components.refusal import refuse
from components.span_drift.component import SAMPLE_FILE
from components.span_drift.report import FILE_NAME, DriftReport
from trainer import progress

# Features that the schema does not name are never read, so they can do no harm.
_HARMLESS = frozenset({anomalies_pb2.AnomalyInfo.SCHEMA_NEW_COLUMN})


def sentences(split: str, anomalies: anomalies_pb2.Anomalies) -> list[str]:
    """Returns a sentence for each anomaly of a split; ignores features unknown to the schema."""
    found = [
        f"{split}: {name}: {reason.description}"
        for name, info in sorted(anomalies.anomaly_info.items())
        for reason in info.reason
        if reason.type not in _HARMLESS
    ]
    if anomalies.data_missing:
        found.append(f"{split}: there are no examples.")
    return found


@component("data_gate", "refusal.py", "statistics_store.py")
def DataGate(  # noqa: N802, a component's name
    examples: InputArtifact[standard_artifacts.Examples],
    anomalies: InputArtifact[standard_artifacts.ExampleAnomalies],
    drift: InputArtifact[standard_artifacts.ExampleAnomalies],
    statistics_store: Parameter[str],
    max_quarantined: Parameter[float],
    min_class_images: Parameter[int],
    min_test_images: Parameter[int],
    drift_action: Parameter[str],
    code: Parameter[str] = "",
) -> None:
    """Refuses a span unfit for training; stores the sample of a fit span for later spans.

    Args:
        examples: ImageExampleGen's output, whose `intake.json` is judged.
        anomalies: ExampleValidator's output for the span.
        drift: SpanDrift's report and sample of the span.
        statistics_store: folder of the samples of accepted spans.
        max_quarantined: highest share of records in quarantine, in [0, 1].
        min_class_images: lowest number of train images that each class must have.
        min_test_images: a class with fewer test images is told, because it cannot be judged.
        drift_action: "stop" refuses a span that drifted; "warn" accepts it.
        code: fingerprint of the code, for the cache key.

    Raises:
        RefusedError: the span is unfit for training.
    """
    came_in = intake.read(examples.uri)
    if few := intake.warning(came_in, min_test_images):
        progress.note(few)
    found = intake.findings(came_in, max_quarantined, min_class_images)
    for split in artifact_utils.decode_split_names(anomalies.split_names):
        folder = artifact_utils.get_split_uri([anomalies], split)
        with fileio.open(os.path.join(folder, DEFAULT_FILE_NAME), "rb") as file:
            found += sentences(split, anomalies_pb2.Anomalies.FromString(file.read()))
    if drift_action == "stop":
        text = io_utils.read_string_file(os.path.join(drift.uri, FILE_NAME))
        drifted = DriftReport.from_json(text)
        found += [
            f"Drift from span {drifted.previous}: {change.sentence()}."
            for change in drifted.changes
        ]
    refuse(found)
    accepted.publish(os.path.join(drift.uri, SAMPLE_FILE), statistics_store, came_in.span)
