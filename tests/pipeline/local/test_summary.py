"""The end of a run, as JSON and for a person."""

from __future__ import annotations

import dataclasses
import io
import json

import pytest
from rich.console import Console

from components.edge_gate.component import Parity
from components.evaluator.evidence import Evidence, FewImages, Interval
from components.evaluator.scorecard import ClassScore, FailedThreshold, Scorecard
from components.image_example_gen.intake import Copies, Damage, Intake
from components.refusal import Refusal
from components.span_drift.report import Change, DriftReport
from pipeline.history.metadata import ComponentRun
from pipeline.history.outcome import Outcome
from pipeline.local import summary

METRICS = {
    "accuracy": 0.875,
    "top_3_accuracy": 1.0,
    "macro_f1": 0.5,
    "expected_calibration_error": 0.0625,
}
CARD = Scorecard(
    blessed=True,
    failed=(),
    metrics=METRICS,
    production={**METRICS, "accuracy": 0.75},
    classes=(ClassScore("größe [x]", 8, 0.5, 0.5, 0.5, None),),
    slices={},
    confusion=((8,),),
)
EVIDENCE = Evidence(
    images=12,
    accuracy=Interval(0.7575, 1.0),
    strength="weak",
    classes=2,
    needed=5,
    untested=(FewImages("größe [x]", 0),),
    averaged={"macro_f1": 1},
)
PUSHED = Outcome(
    verdict="pushed",
    run="2026-01-01T00:00:00",
    components=(
        ComponentRun("transform", "cached", 1e9, 0.12345),
        ComponentRun("trainer", "done", 1e9, 3.5),
    ),
    scorecard=CARD,
    version=17,
    path="/runs/digits/models/digits/17",
    reasons=(),
    log="/runs/digits/logs/a.log",
)
INTAKE = Intake(
    span=3,
    clean={"train": 90, "val": 5, "test": 5},
    classes={"train": {"größe [x]": 90}},
    quarantined={"undecodable": 1, "truncated": 2},
    removed=4,
    damaged=(Damage("/data/[a].tfrecord", 7, "the file ends"),),
    near=Copies(within=6, across=4),
)
FAILED_THRESHOLD = FailedThreshold("accuracy", "all", 0.5, 0.75, "min")
REFUSED = dataclasses.replace(
    PUSHED,
    verdict="refused",
    scorecard=dataclasses.replace(CARD, blessed=False, failed=(FAILED_THRESHOLD,), production=None),
    version=None,
    path=None,
    reasons=(FAILED_THRESHOLD.sentence(),),
)
FAILED = dataclasses.replace(
    REFUSED, verdict="failed", scorecard=None, reasons=("no [space] left", "on device")
)


def _shown(outcome: Outcome) -> str:
    console = Console(file=io.StringIO(), width=200)
    summary.show(outcome, console)
    return console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize("outcome", [PUSHED, REFUSED, FAILED])
def test_json_is_one_object_with_the_keys_of_the_design(outcome: Outcome) -> None:
    text = summary.as_json(outcome)
    assert "\n" not in text
    found = json.loads(text)
    assert list(found) == [
        "verdict",
        "evidence",
        "run",
        "version",
        "path",
        "metrics",
        "reasons",
        "components",
        "data",
        "drift",
        "edge",
        "report",
    ]
    for component in found["components"]:
        assert list(component) == ["id", "state", "seconds", "cached"]
    assert found["verdict"] == outcome.verdict


def test_json_of_a_push_has_metrics_and_version() -> None:
    found = json.loads(summary.as_json(PUSHED))
    assert (found["version"], found["path"]) == (17, PUSHED.path)
    assert found["metrics"] == METRICS
    assert found["reasons"] == []
    assert found["components"][0] == {
        "id": "transform",
        "state": "cached",
        "seconds": 0.123,
        "cached": True,
    }


def test_json_of_a_refusal_has_reasons_and_no_version() -> None:
    found = json.loads(summary.as_json(REFUSED))
    assert (found["version"], found["path"]) == (None, None)
    assert found["reasons"] == [FAILED_THRESHOLD.sentence()]
    assert json.loads(summary.as_json(FAILED))["metrics"] == {}


def test_a_push_is_shown_with_metrics_by_class_and_how_to_serve_it() -> None:
    text = _shown(PUSHED)
    for wanted in ("pushed", "0.8750", "0.7500", "größe [x]", "trainer", "/models/digits/17"):
        assert wanted in text
    assert f"-v /runs/digits/models:/runs/digits/models:ro {summary.SERVING_IMAGE}" in text
    # The file that a rollback writes.
    assert "--model_config_file=/runs/digits/models/digits.config" in text
    assert "rollback" not in text


def test_a_push_behind_a_rollback_is_not_said_to_be_served() -> None:
    text = _shown(dataclasses.replace(PUSHED, pinned=16))
    assert "Version 16 is served all the same, until: retrain rollback --clear" in text


def test_a_remote_store_is_served_without_a_volume() -> None:
    text = _shown(dataclasses.replace(PUSHED, path="gs://b/models/digits/17"))
    assert "--model_config_file=gs://b/models/digits.config" in text
    assert "docker" not in text


def test_a_refusal_is_shown_with_its_reasons() -> None:
    text = _shown(REFUSED)
    assert "refused" in text
    assert FAILED_THRESHOLD.sentence() in text
    assert "Nothing was pushed" in text


def test_the_verdict_has_its_weight() -> None:
    card = dataclasses.replace(CARD, evidence=EVIDENCE)
    found = json.loads(summary.as_json(dataclasses.replace(PUSHED, scorecard=card)))["evidence"]
    assert (found["images"], found["strength"]) == (12, "weak")
    assert found["untested"] == [{"label": "größe [x]", "images": 0}]
    assert json.loads(summary.as_json(PUSHED))["evidence"] is None
    text = _shown(dataclasses.replace(PUSHED, scorecard=card))
    assert "12 test images: 75.8 to 100.0 %, weak evidence" in text
    # What was not tested comes before every number.
    assert text.index("größe [x] (0)") < text.index("accuracy 0.8750")
    assert "macro F1 0.5000 over 1 of 2 classes" in text


def test_what_is_not_defined_is_a_dash_and_null() -> None:
    card = dataclasses.replace(CARD, metrics={**METRICS, "macro_f1": None}, production=None)
    outcome = dataclasses.replace(PUSHED, scorecard=card)
    assert "macro F1 \N{EN DASH}" in _shown(outcome)
    assert json.loads(summary.as_json(outcome))["metrics"]["macro_f1"] is None


def test_data_that_was_refused_is_not_said_to_have_been_judged() -> None:
    text = _shown(dataclasses.replace(REFUSED, scorecard=None))
    assert "Nothing was trained" in text


def test_a_model_that_edges_cannot_have_is_not_said_to_be_bad_data() -> None:
    gate = ComponentRun("edge-gate", "failed", refusal=Refusal(("too far",)))
    text = _shown(dataclasses.replace(REFUSED, components=(*REFUSED.components, gate)))
    assert "export.calibration_images" in text
    assert "0.8750" in text


def test_a_failure_is_shown_with_what_went_wrong_and_the_log() -> None:
    text = _shown(FAILED)
    assert "no [space] left" in text
    assert FAILED.log in text


def test_what_came_in_is_told() -> None:
    outcome = dataclasses.replace(PUSHED, data=INTAKE)
    data = json.loads(summary.as_json(outcome))["data"]
    assert (data["records"], data["quarantined"], data["removed_from_train"]) == (107, 3, 4)
    assert data["reasons"] == {"undecodable": 1, "truncated": 2}
    assert json.loads(summary.as_json(PUSHED))["data"] is None
    shown = _shown(outcome)
    assert (
        "Data: 107 records, 90 train, 5 val, 5 test, 3 quarantined (2 truncated, 1 undecodable)"
        in shown
    )
    assert "0 exact and 10 near duplicates, 4 of them of another split" in shown
    assert "/data/[a].tfrecord: damaged after 7 records: the file ends" in shown


def test_drift_is_shown_from_what_to_what() -> None:
    change = Change("image/brightness", "Jensen-Shannon divergence", 0.5, 0.1, "mean", 0.25, 0.75)
    drifted = dataclasses.replace(PUSHED, data=INTAKE, drift=DriftReport(3, 1, (change,)))
    assert json.loads(summary.as_json(drifted))["drift"]["changes"][0]["after"] == 0.75
    console = Console(file=io.StringIO(), width=200)
    summary.show(drifted, console)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "Drift from span 1 to span 3:" in shown
    assert "image/brightness: mean 0.25 -> 0.75 (Jensen-Shannon divergence 0.500" in shown


def test_a_failure_is_shown_with_its_cause_before_where_it_was() -> None:
    error = (
        'Traceback (most recent call last):\n  File "a.py", line 1, in f\nOSError: disk [full]\n'
    )
    components = (ComponentRun("trainer", "failed", 1e9, 3.5, error),)
    shown = io.StringIO()
    outcome = dataclasses.replace(FAILED, components=components, reasons=("OSError: disk [full]",))
    summary.show(outcome, Console(file=shown, width=100))
    text = shown.getvalue()
    assert text.index("OSError: disk [full]") < text.index("In trainer") < text.index("a.py")
    refused = dataclasses.replace(outcome, verdict="refused")
    assert summary._traces(refused) == []


def test_the_page_of_the_run_is_named() -> None:
    shown = io.StringIO()
    page = "/runs/digits/artifacts/report/report/9/report.html"
    summary.show(dataclasses.replace(PUSHED, page=page), Console(file=shown, width=60))
    assert f"Report: {page}" in shown.getvalue()


def test_the_model_for_small_devices_is_told_of() -> None:
    parity = Parity(1000, 0.972, 0.882, 0.884, 17_700_000, 5_000_000)
    outcome = dataclasses.replace(PUSHED, edge=parity)
    told = (
        "model.tflite: accuracy 0.8840, the SavedModel's class for 97.2% of 1000 test images,"
        " 5.0 of 17.7 MB"
    )
    assert told in " ".join(_shown(outcome).split())
    assert json.loads(summary.as_json(outcome))["edge"]["agreement"] == 0.972
    assert json.loads(summary.as_json(PUSHED))["edge"] is None
