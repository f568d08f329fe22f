"""Watching for spans, with Kubeflow's own client against a stub of its host."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from kubeflow import compile as compiler
from kubeflow import watch
from pipeline.config import Config, load
from retrain.__main__ import main
from tests.kubeflow.stub_host import Stub

pytestmark = pytest.mark.usefixtures("compile_once")


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
        assert main(command) == 0
    (run,) = stub.kept["runs"]
    assert run["display_name"] == "test-pets-span-0"
    assert run["runtime_config"]["parameters"] == {"data_span": "0"}
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["new"] for line in told] == [True, False, False]
    _span(tmp_path / "data", 1)
    assert main(command) == 0
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
    assert main([*command, "--once"]) == 0
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
    main([*command, "--every", "7"])
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

    assert main([*command, "--once"]) == 2
    empty = f"retrain: {data}/span-0: found no data; allowed: train, val and test, or"
    assert capsys.readouterr().err.startswith(empty)

    def arrive() -> None:
        (data / "span-0" / "x.tfrecord").touch()

    def fail() -> None:
        stub.fail = ("POST /runs", 500)

    def recover() -> None:
        stub.fail = None

    _between_looks(monkeypatch, arrive, fail, recover, _nothing)
    main(command)
    captured = capsys.readouterr()
    assert captured.out.startswith("span 0: run runs-1 is started")
    no_data, away = captured.err.splitlines()[:2]
    assert no_data.startswith(empty)
    assert away.startswith(f"retrain: {stub.url}: 500: it failed")
    assert _started(stub) == ["span-0"]

    _span(data, 1)
    fail()
    _between_looks(monkeypatch, _nothing)
    assert main([*command, "--once"]) == 2


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
    main(["watch", "--config", config, *overrides])
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
    assert main(["watch", "--config", config, *wrong]) == 2
    assert "did you mean trainer?" in capsys.readouterr().err
