"""What a task's process receives and leaves behind, on steps that are shell commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kubeflow.emulator.driver import ParameterError
from tests.kubeflow.conftest import Pipeline
from tests.kubeflow.emulator.conftest import WRITE, dry_run, states


def _report(output: dict[str, Any]) -> str:
    """Returns a command that writes to a task's output file; the shell fills in variables."""
    folder = '"$RETRAIN_MOUNTS/tmp/kfp_outputs"'
    text = json.dumps(output).replace('"', r"\"")
    return f'mkdir -p {folder}; echo "{text}" > {folder}/output_metadata.json'


def _artifacts(*artifacts: dict[str, Any]) -> dict[str, Any]:
    return {"artifacts": {"model": {"artifacts": list(artifacts)}}}


def _show(file: Path) -> str:
    """Returns a command that writes a task's ExecutorInput to a file."""
    return f'echo "$1" > {file}'


def _inputs(file: Path) -> Any:
    return json.loads(file.read_text("utf-8"))["inputs"]


def test_artifacts_travel_through_the_store_and_empty_folders_do_not(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    pipeline.task("a", WRITE, outputs=("model",))
    files, shown = tmp_path / "files", tmp_path / "shown"
    look = f'cd "$RETRAIN_MOUNTS"; find . | sort > {files}; {_show(shown)}'
    pipeline.task("b", look, artifacts={"model": ("a", "model")})
    assert set(states(dry_run(pipeline, tmp_path / "dry")).values()) == {"succeeded"}
    found = files.read_text("utf-8")
    assert "/model/file" in found
    assert "empty" not in found
    (artifact,) = _inputs(shown)["artifacts"]["model"]["artifacts"]
    # The real driver too sends an id as the name, and an empty type.
    assert artifact["name"].isdecimal()
    assert artifact["type"] == {"instanceSchema": ""}
    assert artifact["uri"].startswith("minio://mlpipeline/v2/artifacts/small/")
    assert not list((tmp_path / "dry").glob("runs/*/*/container"))


def test_a_path_in_place_of_a_uri_loses_the_artifact(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.task("a", WRITE + _report(_artifacts({"uri": "$path"})), outputs=("model",))
    files = tmp_path / "files"
    look = f'find "$RETRAIN_MOUNTS" > {files}'
    pipeline.task("b", look, artifacts={"model": ("a", "model")})
    tasks = dry_run(pipeline, tmp_path / "dry")
    assert set(states(tasks).values()) == {"succeeded"}
    assert (tasks["a"].artifacts or {})["model"].startswith("/")
    assert "model" not in files.read_text("utf-8")


def test_the_log_of_a_task_is_an_artifact(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.task("a", "echo something")
    task = dry_run(pipeline, tmp_path)["a"]
    uri = (task.artifacts or {})["executor-logs"]
    stored = tmp_path / "store" / "minio" / uri.removeprefix("minio://")
    assert stored.read_text("utf-8") == "something\n"


def test_metadata_comes_back_as_ml_metadata_keeps_it(pipeline: Pipeline, tmp_path: Path) -> None:
    reported = {"uri": "", "metadata": {"n": 1, "flag": True, "list": ["x"], "text": "t"}}
    pipeline.task("a", _report(_artifacts(reported)), outputs=("model",))
    shown = tmp_path / "shown"
    pipeline.task("b", _show(shown), artifacts={"model": ("a", "model")})
    dry_run(pipeline, tmp_path / "dry")
    (artifact,) = _inputs(shown)["artifacts"]["model"]["artifacts"]
    expected = {"n": 1.0, "flag": 1.0, "list": {"list": ["x"]}, "text": "t"}
    assert artifact["metadata"] == expected


def test_metadata_that_is_null_fails_the_task(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.task("a", _report(_artifacts({"metadata": {"n": None}})), outputs=("model",))
    task = dry_run(pipeline, tmp_path)["a"]
    assert task.state == "failed"
    assert "null" in task.reason


def test_parameters_have_defaults_and_take_other_values(pipeline: Pipeline, tmp_path: Path) -> None:
    shown = tmp_path / "shown"
    pipeline.parameter("p", "NUMBER_INTEGER", defaultValue=3)
    pipeline.task("a", _show(shown), {"q": {"componentInputParameter": "p"}})
    dry_run(pipeline, tmp_path / "dry")
    assert _inputs(shown)["parameterValues"] == {"q": "3"}
    dry_run(pipeline, tmp_path / "dry", p=4)
    assert _inputs(shown)["parameterValues"] == {"q": "4"}
    with pytest.raises(ParameterError, match='p: found "x"; allowed: NUMBER'):
        dry_run(pipeline, tmp_path / "dry", p="x")
    with pytest.raises(ParameterError, match="p: found true; allowed: NUMBER"):
        dry_run(pipeline, tmp_path / "dry", p=True)
    with pytest.raises(ParameterError, match="other: allowed: p"):
        dry_run(pipeline, tmp_path / "dry", other=1)


def test_an_output_parameter_is_an_input_of_the_next(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.task("a", _report({"parameterValues": {"word": "hello"}}), returns=("word",))
    source = {"taskOutputParameter": {"producerTask": "a", "outputParameterKey": "word"}}
    pipeline.task("b", _show(tmp_path / "shown"), {"w": source})
    dry_run(pipeline, tmp_path / "dry")
    assert _inputs(tmp_path / "shown")["parameterValues"] == {"w": "hello"}
