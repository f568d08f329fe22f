"""Submitting, scheduling and watching, with Kubeflow's own client against a stub of its host."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from kubeflow import compile as compiler
from kubeflow import watch
from kubeflow.cron import CronError, six_fields
from pipeline import cli
from pipeline.config import Config, load
from tests.kubeflow import stub_host
from tests.kubeflow.conftest import settings
from tests.kubeflow.stub_host import Stub


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Stub]:
    # Kubeflow's client reads settings from the home folder.
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("KF_PIPELINES_TOKEN", "secret-token")
    with stub_host.running() as stub:
        monkeypatch.setenv("KF_PIPELINES_ENDPOINT", stub.url)
        yield stub
        assert stub.wrong == []


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("config") / "retrain.yaml"
    content = settings(kubeflow={"pipeline_root": "minio://bucket/root"})
    file.write_text(yaml.safe_dump(content.model_dump(mode="json")), "utf-8")
    return str(file)


_COMPILED: dict[str, str] = {}


@pytest.fixture(autouse=True)
def compile_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiles each config once for all tests here, which are about what is done with the text."""
    compile_it = compiler.compile_for_kubeflow

    def compile_or_take(config: Config) -> str:
        key = config.model_dump_json()
        if key not in _COMPILED:
            _COMPILED[key] = compile_it(config)
        return _COMPILED[key]

    monkeypatch.setattr(compiler, "compile_for_kubeflow", compile_or_take)


def _schedules(stub: Stub) -> list[dict[str, Any]]:
    return [one for one in stub.kept["recurringruns"] if "gone" not in one]


def test_submit_uploads_a_version_and_starts_it(
    stub: Stub, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["submit", "--config", config, "--json"]) == 0
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
    assert cli.main(["submit", "--config", config]) == 0
    assert cli.main(["submit", "--config", config]) == 0
    assert len(stub.kept["versions"]) == 1
    assert cli.main(["submit", "--config", config, "--set", "trainer.epochs=7"]) == 0
    assert len(stub.kept["pipelines"]) == 1
    assert len(stub.kept["versions"]) == 2
    assert len({version["display_name"] for version in stub.kept["versions"]}) == 2
    assert len(stub.kept["runs"]) == 3
    assert len(stub.kept["experiments"]) == 1


def test_a_pipeline_is_looked_up_in_its_namespace(stub: Stub, config: str) -> None:
    command = ["submit", "--config", config]
    for namespace in (["--namespace", "ann"], ["--namespace", "bob"], []):
        assert cli.main([*command, *namespace]) == 0
        assert cli.main([*command, *namespace, "--set", "trainer.epochs=7"]) == 0
    assert [one.get("namespace") for one in stub.kept["pipelines"]] == ["ann", "bob", None]
    of_version = [version["pipeline_id"] for version in stub.kept["versions"]]
    assert of_version == [f"pipelines-{number}" for number in (1, 1, 2, 2, 3, 3)]


def test_a_run_can_have_other_parameters_of_the_same_version(
    stub: Stub, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["submit", "--config", config]
    given = ["--parameter", "trainer.epochs=3", "--parameter", "data.span=7"]
    assert cli.main([*command, *given]) == 0
    assert cli.main(command) == 0
    assert len(stub.kept["versions"]) == 1
    first, second = (run["runtime_config"].get("parameters") for run in stub.kept["runs"])
    assert first == {"trainer_epochs": 3, "data_span": "7"}
    assert not second
    capsys.readouterr()
    for wrong, told in (
        ("trainer.epoch=3", "did you mean trainer.epochs?"),
        ("data.span=x", "latest"),
    ):
        assert cli.main([*command, "--parameter", wrong]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert told in line
    assert len(stub.kept["runs"]) == 2


def test_a_schedule_of_the_same_name_replaces(
    stub: Stub, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["schedule", "--config", config, "--cron", "0 3 * * *"]) == 0
    assert "CRON_SCHEDULE_TIMEZONE" in capsys.readouterr().out
    (schedule,) = _schedules(stub)
    assert schedule["trigger"]["cron_schedule"]["cron"] == "0 0 3 * * *"
    assert (schedule["no_catchup"], schedule["max_concurrency"]) == (True, 1)
    assert schedule["mode"] == "ENABLE"
    assert cli.main(["schedule", "--config", config, "--cron", "30 0 4 * * *"]) == 0
    (schedule,) = _schedules(stub)
    assert schedule["trigger"]["cron_schedule"]["cron"] == "30 0 4 * * *"
    other = ["--cron", "0 5 * * 1", "--name", "weekly", "--max-concurrency", "2"]
    assert cli.main(["schedule", "--config", config, *other]) == 0
    assert len(_schedules(stub)) == 2


def test_a_schedule_that_cannot_be_made_leaves_the_old_one(stub: Stub, config: str) -> None:
    assert cli.main(["schedule", "--config", config, "--cron", "0 3 * * *"]) == 0
    stub.fail = ("POST /recurringruns", 500)
    assert cli.main(["schedule", "--config", config, "--cron", "0 4 * * *"]) == 2
    (schedule,) = _schedules(stub)
    assert schedule["trigger"]["cron_schedule"]["cron"] == "0 0 3 * * *"


def test_schedules_are_paused_resumed_listed_and_deleted(
    stub: Stub, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["schedule", "--config", config]
    assert cli.main([*command, "--cron", "0 3 * * *"]) == 0
    assert cli.main([*command, "--pause"]) == 0
    assert _schedules(stub)[0]["mode"] == "DISABLE"
    capsys.readouterr()
    assert cli.main([*command, "--list"]) == 0
    assert capsys.readouterr().out == "test-pets  0 0 3 * * *  paused\n"
    assert cli.main([*command, "--resume"]) == 0
    assert _schedules(stub)[0]["mode"] == "ENABLE"
    assert cli.main([*command, "--delete"]) == 0
    assert _schedules(stub) == []
    capsys.readouterr()
    assert cli.main([*command, "--pause"]) == 2
    assert "--name: found test-pets; allowed: there is none" in capsys.readouterr().err


def test_a_schedule_that_is_paused_stays_so_when_it_is_replaced(
    stub: Stub, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["schedule", "--config", config]
    assert cli.main([*command, "--cron", "0 3 * * *"]) == 0
    assert cli.main([*command, "--pause"]) == 0
    capsys.readouterr()
    assert cli.main([*command, "--cron", "0 4 * * *"]) == 0
    assert "test-pets stays paused; after --resume it runs at" in capsys.readouterr().out
    (schedule,) = _schedules(stub)
    assert schedule["trigger"]["cron_schedule"]["cron"] == "0 0 4 * * *"
    assert schedule["mode"] == "DISABLE"


def _span(root: Path, number: int) -> Path:
    file = root / f"span-{number}" / "x.tfrecord"
    file.parent.mkdir(parents=True)
    file.touch()
    return file


def _between_looks(monkeypatch: pytest.MonkeyPatch, *steps: Callable[[], object]) -> list[float]:
    """Has each step done in place of a wait, and an interrupt after them; returns the waits."""
    left, waits = list(steps), []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if not left:
            raise KeyboardInterrupt
        left.pop(0)()

    monkeypatch.setattr(watch, "time", SimpleNamespace(sleep=sleep))
    return waits


def _nothing() -> None:
    pass


def _started(stub: Stub) -> list[str]:
    return [run["display_name"].removeprefix("test-pets-") for run in stub.kept["runs"]]


def test_watching_starts_one_run_for_each_newest_span(
    stub: Stub,
    config: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(watch, "_SETTLING", 0)
    _span(tmp_path / "data", 0)
    root = f"data.root={tmp_path / 'data'}"
    command = ["watch", "--config", config, "--set", root, "--once", "--json"]
    for _ in range(3):
        assert cli.main(command) == 0
    (run,) = stub.kept["runs"]
    assert run["display_name"] == "test-pets-span-0"
    assert run["runtime_config"]["parameters"] == {"data_span": "0"}
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["new"] for line in told] == [True, False, False]
    _span(tmp_path / "data", 1)
    assert cli.main(command) == 0
    assert _started(stub) == ["span-0", "span-1"]


def test_a_span_that_is_being_copied_is_not_started(
    stub: Stub,
    config: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    file = _span(tmp_path / "data", 0)
    command = ["watch", "--config", config, "--set", f"data.root={tmp_path / 'data'}"]

    waits = _between_looks(monkeypatch, lambda: file.write_text("a part"))
    assert cli.main([*command, "--once"]) == 0
    assert waits == [10]
    assert stub.kept["runs"] == []
    assert "span 0: its files still change" in capsys.readouterr().err

    looks: list[list[str]] = []

    def look() -> None:
        looks.append(_started(stub))

    def grow() -> None:
        look()
        file.write_text("a longer part")

    def add() -> None:
        look()
        file.with_name("y.tfrecord").touch()

    waits = _between_looks(monkeypatch, grow, add, look, look)
    cli.main([*command, "--every", "7"])
    assert looks == [[], [], [], ["span-0"]]
    assert waits == [7] * 5
    assert _started(stub) == ["span-0"]


def test_a_watcher_outlives_a_host_that_is_away_and_a_span_without_files(
    stub: Stub,
    config: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    data = tmp_path / "data"
    (data / "span-0").mkdir(parents=True)
    command = ["watch", "--config", config, "--set", f"data.root={data}"]

    assert cli.main([*command, "--once"]) == 2
    empty = f"retrain: {data}/span-0: found no data; allowed: train, val and test, or"
    assert capsys.readouterr().err.startswith(empty)

    def arrive() -> None:
        (data / "span-0" / "x.tfrecord").touch()

    def fail() -> None:
        stub.fail = ("POST /runs", 500)

    def recover() -> None:
        stub.fail = None

    _between_looks(monkeypatch, arrive, fail, recover, _nothing)
    cli.main(command)
    captured = capsys.readouterr()
    assert captured.out.startswith("span 0: run runs-1 is started")
    no_data, away = captured.err.splitlines()[:2]
    assert no_data.startswith(empty)
    assert away.startswith(f"retrain: {stub.url}: 500: it failed")
    assert _started(stub) == ["span-0"]

    _span(data, 1)
    fail()
    _between_looks(monkeypatch, _nothing)
    assert cli.main([*command, "--once"]) == 2


def test_each_span_is_compiled_with_the_labels_and_folders_of_its_time(
    stub: Stub,
    config: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    compiled: list[tuple[tuple[str, ...], tuple[str, ...]]] = []
    known = compiler.compile_for_kubeflow(load(config))

    def compile_it(settings: Config) -> str:
        plan = compiler.blueprint(settings)
        compiled.append((plan.labels, plan.span.splits))
        return known

    monkeypatch.setattr(compiler, "compile_for_kubeflow", compile_it)
    data = tmp_path / "data"
    data.mkdir()
    labels = data / "labels.txt"

    def cut() -> None:
        labels.write_text("cat\ndog\nowl\n")
        for split in ("train", "val", "test"):
            file = data / "span-1" / split / "x.tfrecord"
            file.parent.mkdir(parents=True)
            file.touch()

    _between_looks(
        monkeypatch,
        lambda: _span(data, 0),
        _nothing,
        lambda: labels.write_text("cat\ndog\n"),
        cut,
        _nothing,
    )
    overrides = ["--set", f"data.root={data}", "--set", "data.labels=null"]
    cli.main(["watch", "--config", config, *overrides])
    assert _started(stub) == ["span-0", "span-1"]
    assert compiled == [(("cat", "dog"), ()), (("cat", "dog", "owl"), ("train", "val", "test"))]
    told = capsys.readouterr().err.splitlines()
    assert f"retrain: data.labels: {labels} does not exist" in told[1]


def test_a_watcher_whose_config_cannot_be_compiled_ends(
    stub: Stub, config: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    _span(tmp_path / "data", 0)
    wrong = [
        "--set",
        f"data.root={tmp_path / 'data'}",
        "--set",
        "kubeflow.steps={trainr: {cpu: 1}}",
    ]
    assert cli.main(["watch", "--config", config, *wrong]) == 2
    assert "did you mean trainer?" in capsys.readouterr().err


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
    assert cli.main(["submit", "--config", config]) == 2
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
    assert cli.main(["schedule", "--config", config, "--list"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "it answers with a web page" in line


def test_a_host_that_is_not_there_is_one_line(
    config: str,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert cli.main(["submit", "--config", config, "--host", f"http://127.0.0.1:{port}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"127.0.0.1:{port}: cannot be reached" in line
    assert "Connection refused" in line
    # Outside of a test, these would be printed too.
    assert caplog.records == []
    monkeypatch.delenv("KF_PIPELINES_ENDPOINT", raising=False)
    assert cli.main(["submit", "--config", config]) == 2
    assert "found no host; give --host URL" in capsys.readouterr().err


@pytest.mark.parametrize("cron", ["", "* * * *", "0 0 0 * * * *", "a; b c d e", "@daily"])
def test_what_is_no_cron_expression_is_refused(cron: str) -> None:
    with pytest.raises(CronError):
        six_fields(cron)


def test_five_fields_start_at_second_zero() -> None:
    assert six_fields("0 3 * * MON-FRI") == "0 0 3 * * MON-FRI"
    assert six_fields("15 0 3 ? * 1") == "15 0 3 ? * 1"
