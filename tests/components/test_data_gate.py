"""The gate lets clean data pass and says in sentences what is wrong with other data."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx.types import standard_artifacts
from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder

from components.data_gate.component import DataGate, sentences
from components.image_example_gen import intake
from components.image_example_gen.intake import FILE_NAME, Intake
from components.refusal import RefusedError
from components.span_drift.component import SAMPLE_FILE
from components.span_drift.report import FILE_NAME as DRIFT_FILE
from components.span_drift.report import Change, DriftReport
from pipeline.graph import schema
from tests.conftest import LABELS, Record
from trainer import progress

CAME_IN = Intake(
    span=0,
    clean={"train": 90, "test": 1},
    classes={"train": {LABELS[0]: 90}, "test": {LABELS[0]: 1}},
    quarantined={"truncated": 9},
)
FIRST_SPAN = DriftReport(0, None)
CLEAN = [(0, LABELS[0]), (1, None), (None, LABELS[2])]


def _anomalies(records: list[bytes]) -> anomalies_pb2.Anomalies:
    """What TFDV finds in the statistics of records, judged by the curated schema."""
    from tensorflow_data_validation.statistics import stats_impl

    curated = schema.curated(LABELS, ())
    # As StatisticsGen reads them: all features, those that the schema does not name too.
    batch = ExamplesToRecordBatchDecoder().DecodeBatch(records)
    options = tfdv.StatsOptions(schema=curated)
    statistics = stats_impl.generate_statistics_in_memory(batch, options)
    return tfdv.validate_statistics(statistics, curated)


def _records(record: Record, labels: list[tuple[int | None, str | None]]) -> list[bytes]:
    return [record(b"\x89PNG", number, text) for number, text in labels]


def _gate(
    folder: Path,
    by_split: dict[str, anomalies_pb2.Anomalies],
    came_in: Intake = CAME_IN,
    max_quarantined: float = 0.1,
    drift: DriftReport = FIRST_SPAN,
    action: str = "warn",
) -> None:
    examples = standard_artifacts.Examples()
    examples.uri = str(folder / "examples")
    (folder / "examples").mkdir()
    (folder / "examples" / FILE_NAME).write_text(came_in.as_json(), "utf-8")
    artifact = standard_artifacts.ExampleAnomalies()
    artifact.uri = str(folder)
    artifact.split_names = "[" + ", ".join(f'"{split}"' for split in by_split) + "]"
    for split, anomalies in by_split.items():
        (folder / f"Split-{split}").mkdir()
        (folder / f"Split-{split}" / "SchemaDiff.pb").write_bytes(anomalies.SerializeToString())
    drifted = standard_artifacts.ExampleAnomalies()
    drifted.uri = str(folder / "drift")
    (folder / "drift").mkdir()
    (folder / "drift" / DRIFT_FILE).write_text(drift.as_json(), "utf-8")
    (folder / "drift" / SAMPLE_FILE).write_bytes(b"sample")
    DataGate.EXECUTOR_SPEC.executor_class().Do(
        {
            "anomalies": [artifact],
            "examples": [examples],
            "drift": [drifted],
        },
        {},
        {
            "max_quarantined": max_quarantined,
            "min_class_images": 1,
            "min_test_images": 5,
            "drift_action": action,
            "statistics_store": str(folder / "store"),
        },
    )


def test_clean_data_passes(tmp_path: Path, record: Record) -> None:
    anomalies = _anomalies(_records(record, CLEAN))
    assert sentences("train", anomalies) == []
    _gate(tmp_path, {"train": anomalies, "test": anomalies})
    # What the next span will be compared with.
    assert (tmp_path / "store" / "span-0.npz").read_bytes() == b"sample"


def test_classes_with_too_few_test_images_are_told_and_let_pass(
    tmp_path: Path, record: Record
) -> None:
    progress.new_notes()
    _gate(tmp_path, {"train": _anomalies(_records(record, CLEAN))})
    (told,) = progress.new_notes()
    assert f"{LABELS[0]} (1)" in told
    assert intake.warning(CAME_IN, 1) == intake.warning(CAME_IN, 0) == ""


def test_drift_is_let_pass_or_refused_as_the_config_says(tmp_path: Path, record: Record) -> None:
    anomalies = {"train": _anomalies(_records(record, CLEAN))}
    change = Change("image/brightness", "Jensen-Shannon divergence", 0.5, 0.1, "mean", 0.25, 0.75)
    drift = DriftReport(1, 0, (change,))
    (tmp_path / "warn").mkdir()
    _gate(tmp_path / "warn", anomalies, drift=drift)
    (tmp_path / "stop").mkdir()
    with pytest.raises(RefusedError) as caught:
        _gate(tmp_path / "stop", anomalies, drift=drift, action="stop")
    assert str(caught.value) == (
        "Drift from span 0: image/brightness: mean 0.25 -> 0.75 (Jensen-Shannon divergence 0.500;"
        " drift from: 0.1)."
    )
    assert not (tmp_path / "stop" / "store").exists()


def test_features_that_the_schema_does_not_name_are_ignored(record: Record) -> None:
    anomalies = _anomalies([record(b"\x89PNG", 0, LABELS[0], image__camera="x")])
    assert "image/camera" in anomalies.anomaly_info
    assert sentences("train", anomalies) == []


@pytest.mark.parametrize(
    ("labels", "feature", "words"),
    [
        ([*CLEAN, (len(LABELS), None)], "image/class/label", "3"),
        ([*CLEAN, (-1, None)], "image/class/label", "-1"),
        ([*CLEAN, (None, "dog")], "image/class/text", "dog"),
    ],
)
def test_a_label_outside_the_list_is_refused_by_name(
    record: Record, labels: list[tuple[int | None, str | None]], feature: str, words: str
) -> None:
    (sentence,) = sentences("val", _anomalies(_records(record, labels)))
    assert sentence.startswith(f"val: {feature}: ")
    assert words in sentence


def test_a_record_without_an_image_is_refused(record: Record) -> None:
    import tensorflow as tf

    records = _records(record, CLEAN)
    example = tf.train.Example.FromString(records[0])
    del example.features.feature["image/encoded"]
    found = sentences("train", _anomalies([example.SerializeToString(), *records]))
    assert found
    assert all(sentence.startswith("train: image/encoded: ") for sentence in found)


def test_every_split_is_judged_and_the_error_has_a_sentence_for_each(
    tmp_path: Path, record: Record
) -> None:
    clean = _anomalies(_records(record, CLEAN))
    unknown = _anomalies(_records(record, [*CLEAN, (None, "dog")]))
    with pytest.raises(RefusedError) as caught:
        _gate(tmp_path, {"train": clean, "val": unknown, "test": unknown})
    lines = str(caught.value).splitlines()
    assert [line.partition(":")[0] for line in lines] == ["val", "test"]


def test_too_much_quarantine_is_refused_beside_the_anomalies(
    tmp_path: Path, record: Record
) -> None:
    unknown = _anomalies(_records(record, [*CLEAN, (None, "dog")]))
    with pytest.raises(RefusedError) as caught:
        _gate(tmp_path, {"val": unknown}, max_quarantined=0.05)
    quarantine, anomaly = str(caught.value).splitlines()
    assert quarantine.startswith("9 of 100 records (9.0%) are in quarantine: 9 truncated;")
    assert anomaly.startswith("val: image/class/text: ")


def test_a_class_without_images_is_refused(tmp_path: Path, record: Record) -> None:
    classes = {"train": {LABELS[0]: 90, LABELS[1]: 0}}
    few = dataclasses.replace(CAME_IN, classes=classes)
    with pytest.raises(RefusedError, match=f"Class {LABELS[1]} has 0 images in train"):
        _gate(tmp_path, {"train": _anomalies(_records(record, CLEAN))}, few)


def test_a_split_without_examples_is_refused() -> None:
    assert sentences("test", anomalies_pb2.Anomalies(data_missing=True)) == [
        "test: there are no examples."
    ]
