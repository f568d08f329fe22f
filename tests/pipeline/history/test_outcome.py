"""A run is judged by its push; its report comes after."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ml_metadata.proto import metadata_store_pb2 as mlmd

from components import refusal
from components.refusal import Refusal
from components.report.component import PAGE_FILE
from pipeline.history import outcome
from pipeline.history.metadata import History
from tests.pipeline.history.test_metadata import Recorder

State = mlmd.Execution
NODES = ("trainer", "pusher", "report")


@pytest.fixture
def recorder(tmp_path: Path) -> Recorder:
    """Records a run that pushed version 5."""
    recorder = Recorder(tmp_path / "metadata.db")
    pushed = mlmd.Artifact(uri="/pushed")
    pushed.custom_properties["pushed"].int_value = 1
    pushed.custom_properties["pushed_version"].string_value = "5"
    pushed.custom_properties["pushed_destination"].string_value = "/models/5"
    recorder.record("run", "trainer", State.COMPLETE)
    recorder.record("run", "pusher", State.COMPLETE, outputs={"pushed_model": pushed})
    return recorder


def _read(tmp_path: Path, error: Exception | None = None) -> outcome.Outcome:
    return outcome.read(History(str(tmp_path / "metadata.db"), "test"), "run", NODES, error)


def test_a_push_stands_even_if_the_report_failed(recorder: Recorder, tmp_path: Path) -> None:
    recorder.record("run", "report", State.FAILED)
    ended = _read(tmp_path, OSError("disk full [while running 'x']"))
    assert (ended.verdict, ended.version, ended.path) == ("pushed", 5, "/models/5")
    assert ended.reasons == ("the report could not be made: disk full",)
    assert ended.page is None
    assert _read(tmp_path).verdict == "pushed"


def test_the_page_is_named_where_there_is_one(recorder: Recorder, tmp_path: Path) -> None:
    outputs = {"report": mlmd.Artifact(uri=str(tmp_path))}
    recorder.record("run", "report", State.COMPLETE, outputs=outputs)
    assert _read(tmp_path).page is None
    (tmp_path / PAGE_FILE).write_text("<html>")
    assert _read(tmp_path).page == str(tmp_path / PAGE_FILE)


def test_an_error_before_the_push_is_the_runs(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "metadata.db")
    recorder.record("run", "trainer", State.COMPLETE)
    ended = _read(tmp_path, RuntimeError("no memory\nat all"))
    assert (ended.verdict, ended.reasons) == ("failed", ("no memory", "at all"))


@pytest.mark.parametrize(
    ("code", "message", "verdict", "reasons"),
    [
        (refusal.CODE, Refusal(("a: b", "c\nd")).to_json(), "refused", ("a: b", "c\nd")),
        (1, "KeyError: 'a'", "failed", ("KeyError: 'a'",)),
        (1, "components.refusal.RefusedError: a", "failed", ("RefusedError: a",)),
        (1, "components.outage.OutageError: a: run again", "failed", ("a: run again",)),
        (1, "", "failed", ("in trainer",)),
    ],
)
def test_the_record_of_a_component_decides_whether_it_refused_or_failed(
    tmp_path: Path, code: int, message: str, verdict: str, reasons: tuple[str, ...]
) -> None:
    recorder = Recorder(tmp_path / "metadata.db")
    result = json.dumps({"code": code, "resultMessage": message})
    recorder.record("run", "trainer", State.FAILED, __execution_result__=result)
    ended = _read(tmp_path, RuntimeError("seen from outside"))
    assert (ended.verdict, ended.reasons) == (verdict, reasons)
