"""What a local run does around TFX: it looks at the database, and keeps what failed in it."""

from __future__ import annotations

import errno
from pathlib import Path

from ml_metadata.proto import metadata_store_pb2 as mlmd

from pipeline import config
from pipeline.config import Config
from pipeline.history import outcome
from pipeline.history.metadata import History
from pipeline.local import run as local_run
from tests.pipeline.history.test_metadata import Recorder

State = mlmd.Execution
NODES = ("transform", "trainer")


def _settings(tmp_path: Path) -> Config:
    output = {"name": "test", "data": {"root": str(tmp_path)}, "output": str(tmp_path)}
    return config.validate(output, "test")


def test_progress_outlasts_a_database_that_cannot_be_read(tmp_path: Path) -> None:
    database = tmp_path / "metadata.db"
    look = local_run._progress(_settings(tmp_path), NODES, {"before"}, {"trainer": 9.0})

    def seen() -> list[tuple[str, str, float]]:
        return [(one.id, one.state, one.usual) for one in look()]

    assert seen() == [("transform", "not run", 0.0), ("trainer", "not run", 9.0)]
    database.write_bytes(b"")  # as it is for a moment while TFX makes it
    assert seen() == [("transform", "not run", 0.0), ("trainer", "not run", 9.0)]
    database.unlink()
    recorder = Recorder(database)
    recorder.record("before", "trainer", State.COMPLETE)
    recorder.record("run", "transform", State.RUNNING)
    assert seen() == [("transform", "running", 0.0), ("trainer", "not run", 9.0)]
    database.rename(tmp_path / "elsewhere.db")
    assert seen() == [("transform", "running", 0.0), ("trainer", "not run", 9.0)]


def test_what_ran_when_the_user_interrupted_is_interrupted_and_not_failed(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "metadata.db")
    recorder.record("before", "trainer", State.FAILED)
    recorder.record("run", "transform", State.COMPLETE)
    recorder.record("run", "trainer", State.FAILED)
    local_run._mark_interrupted(_settings(tmp_path), {"before"})
    history = History(str(tmp_path / "metadata.db"), "test")
    assert [one.state for one in history.components("run", NODES)] == ["done", "interrupted"]
    assert history.components("before", NODES)[1].state == "failed"
    assert outcome.read(history, "run", NODES).verdict == "interrupted"


def test_a_component_whose_end_a_full_disk_left_unrecorded_failed(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "metadata.db")
    recorder.record("run", "transform", State.COMPLETE)
    recorder.record("run", "trainer", State.RUNNING)
    history = History(str(tmp_path / "metadata.db"), "test")
    error = OSError(errno.ENOSPC, "No space left on device", "/out/model/file")
    ended = outcome.read(history, "run", NODES, error)
    assert ended.verdict == "failed"
    assert ended.components[1].state == "failed"
    (reason,) = ended.reasons
    assert "no space left in /out/model" in reason


def test_the_traceback_of_what_failed_is_kept_for_later_commands(tmp_path: Path) -> None:
    database = tmp_path / "metadata.db"
    recorder = Recorder(database)
    recorder.record("before", "trainer", State.FAILED)
    recorder.record("run", "transform", State.COMPLETE)
    recorder.record("run", "trainer", State.FAILED)
    local_run._record(str(database), "run", KeyError("no such class"))
    history = History(str(database), "test")
    transform, trainer = history.components("run", NODES)
    assert transform.error == ""
    assert trainer.error == "KeyError: 'no such class'\n"
    assert history.components("before", NODES)[1].error == ""
