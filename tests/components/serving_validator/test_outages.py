"""What a server's process does tells whether the machine or the model is to blame."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from components.outage import OutageError
from components.serving_validator import failures, server_process
from components.serving_validator.effort import Effort
from components.serving_validator.failures import ModelError

_BROKEN = (
    "Failed to start server. Error: Unknown: 1 servable(s) did not become available:"
    " {{{name: candidate version: 1} due to error: %s}, }"
)


def _wait(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str, seconds: float) -> None:
    """Waits for a stand-in of TF Serving's binary, which is a shell script."""
    binary = folder / "tensorflow_model_server"
    binary.write_text(f"#!/bin/sh\n{script}\n")
    binary.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    with server_process.serving("/models", folder / "log", 0) as server:
        server.wait(seconds)


@pytest.mark.parametrize(
    ("script", "seconds", "words"),
    [
        ("exec sleep 600", 0.5, ("has stood still", "last lines: none")),
        ("echo loading; while :; do :; done", 0.5, ("last lines: loading",)),
        ("echo 'half way'; kill -KILL $$", 600, ("signal 9", "half way")),
        ("echo first; echo 'port is taken'; exit 3", 600, ("code 3", "first | port is taken")),
        (f"echo '{_BROKEN % 'Resource exhausted: OOM'}'; exit 1", 600, ("RESOURCE_EXHAUSTED",)),
    ],
    ids=["idle", "burns", "killed", "port", "memory"],
)
def test_what_the_machine_does_is_an_outage_with_the_server_s_last_lines(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    script: str,
    seconds: float,
    words: tuple[str, ...],
) -> None:
    with pytest.raises(OutageError) as raised:
        _wait(tmp_path, monkeypatch, script, seconds)
    told = str(raised.value)
    assert "\n" not in told
    assert "run again" in told
    for word in words:
        assert word in told


@pytest.mark.parametrize("error", ["Not found: no such file", "NOT_FOUND: no such file"])
def test_a_model_that_does_not_load_is_the_model_s_doing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: str
) -> None:
    with pytest.raises(ModelError, match="NOT_FOUND: no such file"):
        _wait(tmp_path, monkeypatch, f"echo '{_BROKEN % error}'; exit 1", 600)


def test_a_server_that_cannot_be_executed_is_an_outage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_process, "_tied_to_us", lambda: ["/no/such/file"])
    with pytest.raises(OutageError, match="does not start"):
        _wait(tmp_path, monkeypatch, "exit 0", 600)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        *[(code, OutageError) for code in ("UNAVAILABLE", "DEADLINE_EXCEEDED", "503", "504")],
        *[(code, ModelError) for code in ("INVALID_ARGUMENT", "INTERNAL", "400", "500")],
    ],
)
def test_the_code_of_an_answer_says_whose_doing_it_is(code: str, kind: type[Exception]) -> None:
    assert type(failures.failure(code, "text")) is kind


@pytest.mark.parametrize(
    ("effort", "own"),
    [
        (Effort(10.0), 10.0),  # it sleeps
        (Effort(10.0, ran=10.0), 10.0),
        (Effort(10.0, ran=2.0, waited=8.0), 2.0),
        (Effort(10.0, ran=0.1, waited=0.4), 9.6),  # it wakes now and then
        (Effort(10.0, ran=40.0, waited=40.0), 5.0),  # eight threads, four processors
    ],
)
def test_time_without_a_processor_is_not_the_server_s_own(effort: Effort, own: float) -> None:
    assert effort.own == pytest.approx(own)


def test_a_late_server_is_told_by_what_it_did() -> None:
    assert "no processor" in failures.late(Effort(100.0, 1.0, 99.0), 0.0, 10.0)
    assert "stood still for 8.0 s" in failures.late(Effort(10.0, 1.0), 8.0, 10.0)
    assert "still loading" in failures.late(Effort(10.0, 9.0), 0.1, 10.0)
