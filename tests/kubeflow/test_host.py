"""Submitting, with Kubeflow's own client against a stub of its host; what the host refuses."""

from __future__ import annotations

import json
import socket

import pytest

from retrain.__main__ import main
from tests.kubeflow.stub_host import Stub

pytestmark = pytest.mark.usefixtures("compile_once")


def test_submit_uploads_a_version_and_starts_it(
    stub: Stub, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["submit", "--config", config, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    (run,) = stub.kept["runs"]
    assert told == {"run": run["run_id"], "pipeline_version": "versions-1"}
    assert run["pipeline_version_reference"] == {
        "pipeline_id": "pipelines-1",
        "pipeline_version_id": "versions-1",
    }
    assert run["runtime_config"]["pipeline_root"] == "minio://bucket/root"
    assert stub.tokens == {"Bearer secret-token"}


def test_an_equal_pipeline_is_not_uploaded_again_and_a_changed_one_keeps_the_history(
    stub: Stub, config: str
) -> None:
    assert main(["submit", "--config", config]) == 0
    assert main(["submit", "--config", config]) == 0
    assert len(stub.kept["versions"]) == 1
    assert main(["submit", "--config", config, "--set", "trainer.epochs=7"]) == 0
    assert len(stub.kept["pipelines"]) == 1
    assert len(stub.kept["versions"]) == 2
    assert len({version["display_name"] for version in stub.kept["versions"]}) == 2
    assert len(stub.kept["runs"]) == 3
    assert len(stub.kept["experiments"]) == 1


def test_a_pipeline_is_looked_up_in_its_namespace(stub: Stub, config: str) -> None:
    command = ["submit", "--config", config]
    for namespace in (["--namespace", "ann"], ["--namespace", "bob"], []):
        assert main([*command, *namespace]) == 0
        assert main([*command, *namespace, "--set", "trainer.epochs=7"]) == 0
    assert [one.get("namespace") for one in stub.kept["pipelines"]] == ["ann", "bob", None]
    of_version = [version["pipeline_id"] for version in stub.kept["versions"]]
    assert of_version == [f"pipelines-{number}" for number in (1, 1, 2, 2, 3, 3)]


def test_a_run_can_have_other_parameters_of_the_same_version(
    stub: Stub, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["submit", "--config", config]
    given = ["--parameter", "trainer.epochs=3", "--parameter", "data.span=7"]
    assert main([*command, *given]) == 0
    assert main(command) == 0
    assert len(stub.kept["versions"]) == 1
    first, second = (run["runtime_config"].get("parameters") for run in stub.kept["runs"])
    assert first == {"trainer_epochs": 3, "data_span": "7"}
    assert not second
    capsys.readouterr()
    for wrong, told in (
        ("trainer.epoch=3", "did you mean trainer.epochs?"),
        ("data.span=x", "latest"),
    ):
        assert main([*command, "--parameter", wrong]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert told in line
    assert len(stub.kept["runs"]) == 2


@pytest.mark.parametrize(
    ("status", "hint"),
    [
        (401, "asks for a token; set KF_PIPELINES_TOKEN"),
        (403, "may not do this"),
        (404, "is this the address of Kubeflow Pipelines"),
        (409, "one of that name already"),
        (500, "it failed"),
    ],
)
@pytest.mark.parametrize("where", ["GET /healthz", "POST /runs"])
def test_each_refusal_is_one_line(
    stub: Stub,
    config: str,
    capsys: pytest.CaptureFixture[str],
    status: int,
    hint: str,
    where: str,
) -> None:
    stub.fail = (where, status)
    assert main(["submit", "--config", config]) == 2
    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    assert line.startswith(f"retrain: {stub.url}: {status}: ")
    assert hint in line
    assert "as the test asked" in line
    assert "secret-token" not in captured.out + captured.err


def test_a_login_page_is_one_line(
    stub: Stub, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    stub.page = b"<html>Log in</html>"
    assert main(["schedule", "--config", config, "--list"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "it answers with a web page" in line


def test_a_host_that_is_not_there_is_one_line(
    config: str,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.socket() as bound:
        # No other process can take the port, and nobody listens on it.
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        assert main(["submit", "--config", config, "--host", f"http://127.0.0.1:{port}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"127.0.0.1:{port}: cannot be reached" in line
    assert "Connection refused" in line
    # Outside of a test, these would be printed too.
    assert caplog.records == []
    monkeypatch.delenv("KF_PIPELINES_ENDPOINT", raising=False)
    assert main(["submit", "--config", config]) == 2
    assert "found no host; give --host URL" in capsys.readouterr().err
