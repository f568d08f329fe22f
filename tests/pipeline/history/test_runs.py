"""What ran is listed with its verdict, from a database as TFX fills it."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from ml_metadata.proto import metadata_store_pb2 as mlmd
from rich.console import Console

from pipeline import config
from pipeline.config import ConfigError
from pipeline.history import runs
from tests.pipeline.history.test_metadata import Recorder, result

State = mlmd.Execution


def _config(tmp_path: Path) -> config.Config:
    settings = {"name": "test", "data": {"root": str(tmp_path)}, "output": str(tmp_path)}
    return config.validate(settings, "test")


def test_before_the_first_run_there_is_nothing_to_list(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no run yet"):
        runs.read(_config(tmp_path))


def test_each_run_has_its_verdict(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "metadata.db")
    recorder.record("run-1", "trainer", State.FAILED)
    refusal = result("no image")
    recorder.record("run-2", "data-gate", State.FAILED, __execution_result__=refusal)
    recorder.record("run-3", "transform", State.RUNNING)
    recorder.record("run-4", "pusher", State.COMPLETE)
    found = runs.read(_config(tmp_path))
    verdicts = {run.run: (run.verdict, run.reasons) for run in found}
    assert verdicts == {
        "run-1": ("failed", ("in trainer",)),
        "run-2": ("refused", ("no image",)),
        "run-3": ("unfinished", ()),
        "run-4": ("refused", ()),
    }
    assert [run["verdict"] for run in json.loads(runs.as_json(found))["runs"]] == [
        "failed",
        "refused",
        "unfinished",
        "refused",
    ]
    shown = io.StringIO()
    runs.show(found, Console(file=shown, width=120))
    assert "failed in trainer" in shown.getvalue()


def test_a_reason_with_brackets_is_shown_as_it_is(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "metadata.db")
    refusal = result("class [/b] has no image")
    recorder.record("run-1", "data-gate", State.FAILED, __execution_result__=refusal)
    shown = io.StringIO()
    runs.show(runs.read(_config(tmp_path)), Console(file=shown, width=120))
    assert "refused class [/b] has no image" in shown.getvalue()
