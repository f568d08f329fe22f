"""The commands about the cluster: what is wrong is one line, before the cluster is asked."""

from __future__ import annotations

from pathlib import Path

import keras
import pytest
import yaml

from pipeline.config import ConfigError
from retrain.__main__ import main
from retrain.commands import compile
from tests.kubeflow.conftest import Pipeline, settings

CRON = ["--cron", "0 3 * * *"]


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "retrain.yaml"
    file.write_text(yaml.safe_dump(settings().model_dump(mode="json")), "utf-8")
    return str(file)


def _refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Runs a command that must end with exit code 2; returns the error, one line."""
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    return line.removeprefix("retrain: ")


@pytest.mark.parametrize(
    "command", [["compile"], ["submit"], ["schedule", *CRON], ["watch"]], ids=lambda one: one[0]
)
def test_a_backbone_that_cannot_be_trained_is_refused(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    given = ["--set", f"backbone.path={tmp_path}", "--set", "trainer.mode=finetune"]
    line = _refusal(capsys, *command, "--config", config, *given)
    assert line.startswith(f"backbone.path: found {tmp_path}, which cannot be trained")


def test_a_backbone_of_open_size_is_refused(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "open.keras"
    keras.Sequential([keras.Input((None, None, 3)), keras.layers.Conv2D(4, 3)]).save(path)
    given = ["--set", f"backbone.path={path}", "--set", "image.size=null"]
    assert "set image.size" in _refusal(capsys, "compile", "--config", config, *given)


@pytest.mark.parametrize("cron", ["", " "])
def test_an_empty_cron_is_refused(
    config: str, capsys: pytest.CaptureFixture[str], cron: str
) -> None:
    line = _refusal(capsys, "schedule", "--config", config, "--cron", cron)
    assert line.startswith(f"--cron: found {cron!r}; allowed: five fields")


@pytest.mark.parametrize("action", ["--pause", "--resume", "--delete", "--list"])
@pytest.mark.parametrize("given", [("--parameter", "trainer.epochs=3"), ("--max-concurrency", "1")])
def test_what_only_a_new_schedule_takes_is_refused_with_an_old_one(
    config: str, capsys: pytest.CaptureFixture[str], action: str, given: tuple[str, str]
) -> None:
    line = _refusal(capsys, "schedule", "--config", config, action, *given)
    assert line == f"{given[0]}: allowed only with --cron, which makes the schedule"


def test_a_parameter_that_the_dry_run_does_not_take_is_refused(tmp_path: Path) -> None:
    small = Pipeline()
    small.parameter("p", "STRING", defaultValue="a")
    small.task("a", "true")
    for values, told in (({"other": 1}, "other: allowed: p"), ({"p": 4}, "p: found 4")):
        with pytest.raises(ConfigError, match=f"^--parameter: {told}"):
            compile._dry_run(small.text(), tmp_path, values, as_json=True)
