"""The command line: exit codes, one-line errors, and nothing heavy before it is needed."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from pipeline.config import load
from retrain.__main__ import main
from tests.conftest import PATIENCE_SECONDS

HEAVY = {"pydantic", "tensorflow", "keras", "tfx", "apache_beam", "numpy", "rich", "yaml"}
CONFIG = """
name: test
data: {{root: {root}, labels: [a, b]}}
output: {output}
"""


def _loaded(*arguments: str, code: int = 0) -> set[str]:
    """Runs the command line in a process and returns the packages that it imported."""
    found = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "retrain", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == code, found.stderr[-2000:]
    names = re.findall(r"^import time:.*\| +(\S+)$", found.stderr, re.MULTILINE)
    assert "retrain.commands" in names
    return {name.split(".")[0] for name in names}


def _write(tmp_path: Path, extra: str = "") -> str:
    path = tmp_path / "retrain.yaml"
    root, output = tmp_path / "data", tmp_path / "output"
    path.write_text(CONFIG.format(root=root, output=output) + extra, encoding="utf-8")
    return str(path)


def _refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Runs a command that must end with exit code 2; returns the error, one line."""
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith("retrain: ")
    return line


@pytest.mark.parametrize(
    "arguments", [["--help"], ["run", "--help"], ["ingest", "--help"], ["report", "--help"]]
)
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    assert not _loaded(*arguments) & HEAVY


def test_a_config_error_loads_no_tensorflow(tmp_path: Path) -> None:
    path = _write(tmp_path, "trianer: {}\n")
    loaded = _loaded("run", "--config", path, code=2)
    assert not loaded & (HEAVY - {"pydantic", "yaml"})


def test_a_missing_data_root_loads_no_tensorflow(tmp_path: Path) -> None:
    loaded = _loaded("run", "--config", _write(tmp_path), code=2)
    assert not loaded & (HEAVY - {"pydantic", "yaml"})


def test_a_config_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(tmp_path / "none.yaml")
    line = _refusal(capsys, "run", "--config", path)
    assert path in line
    assert "retrain init" in line


def test_without_a_config_the_one_in_this_folder_is_meant(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "retrain.yaml" in _refusal(capsys, "run")


def test_an_unknown_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = _refusal(capsys, "run", "--config", _write(tmp_path, "trianer: {epochs: 3}\n"))
    assert "trianer" in line
    assert "did you mean trainer?" in line


def test_a_data_root_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = _write(tmp_path)
    line = _refusal(capsys, "run", "--config", path)
    assert f"{path}: data.root" in line
    assert f"retrain ingest SOURCE --output {tmp_path / 'data'}" in line
    assert not (tmp_path / "output").exists()


def test_a_wrong_override(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = _refusal(capsys, "run", "--config", _write(tmp_path), "--set", "trainer.epochs=many")
    assert "--set: trainer.epochs" in line


def test_json_leaves_standard_output_empty_on_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _refusal(capsys, "run", "--json", "--config", _write(tmp_path))


def test_debug_shows_the_traceback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--debug", "--config", str(tmp_path / "none.yaml")]) == 2
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nothing"],
        ["run", "--runner", "other"],
        ["ingest", "digits"],
        ["ingest", "digits", "--output", "x", "--span", "-1"],
        ["ingest", "digits", "--output", "x", "--features", "colour=x"],
        ["ingest", "digits", "--output", "x", "--max-side", "0"],
    ],
)
def test_a_wrong_command_line_is_bad_input(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_init_writes_a_config_that_run_understands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["init", "new", "--name", "flowers"]) == 0
    assert "retrain run" in capsys.readouterr().out
    line = _refusal(capsys, "run", "--config", "new/retrain.yaml")
    assert "data.root" in line, "it should get as far as to miss the data"


def test_a_mistyped_command_is_answered_with_the_nearest(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["runn"])
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert "did you mean run?" in error
    assert "tensorboard" not in error


def test_init_prints_commands_that_can_be_pasted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", str(tmp_path / "mein projekt")]) == 0
    assert f"'{tmp_path}/mein projekt/retrain.yaml'" in capsys.readouterr().out


@pytest.mark.parametrize(
    "text", ["[" * 20_000, "{a: " * 20_000, "- " * 20_000, "name: " + "[" * 51 + "]" * 51]
)
def test_a_config_of_too_many_levels(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    path = tmp_path / "deep.yaml"
    path.write_text(text)
    refusal = _refusal(capsys, "run", "--config", str(path))
    assert str(path) in refusal
    assert "levels" in refusal


@pytest.mark.parametrize("flag", ["--port", "--grpc-port"])
def test_a_port_that_is_taken_is_told_at_once(tmp_path: Path, flag: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        free = {"--port": "0", "--grpc-port": "0", flag: port}
        ports = [each for pair in free.items() for each in pair]
        loaded = _loaded("serve", "--config", _write(tmp_path), *ports, code=2)
    assert not loaded & (HEAVY - {"pydantic", "yaml"})


def test_init_leaves_a_config_that_is_there_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "retrain.yaml").write_text("mine")
    assert "retrain.yaml" in _refusal(capsys, "init", str(tmp_path))
    assert (tmp_path / "retrain.yaml").read_text() == "mine"


@pytest.mark.parametrize("name", ["Flowers", "a b", ""])
def test_init_refuses_a_name_that_is_not_allowed_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert "--name: found" in _refusal(capsys, "init", str(tmp_path / "new"), "--name", name)
    assert not (tmp_path / "new").exists()


def test_a_source_that_is_not_there_is_bad_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "data"
    line = _refusal(capsys, "ingest", str(tmp_path / "none"), "--output", str(output))
    assert str(tmp_path / "none") in line
    assert not output.exists()


def test_weights_that_are_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = _write(tmp_path, "backbone: {weights: ./none.pth}\n")
    assert "none.pth" in _refusal(capsys, "run", "--config", path)


def test_a_file_where_a_folder_is_needed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file"
    file.write_text("")
    assert str(file) in _refusal(capsys, "init", str(file))
    assert str(file) in _refusal(capsys, "ingest", "digits", "--output", str(file))


@pytest.mark.parametrize("arguments", [("--span", "-1"), ("--span", "abc"), ("--features", "x")])
def test_an_argument_of_the_wrong_kind(
    arguments: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["ingest", "digits", "--output", "data", *arguments])
    assert ended.value.code == 2
    assert arguments[1] in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    "command", [["report"], ["suspects"], ["lineage", "7"], ["compare", "a", "b"]]
)
def test_before_the_first_run_there_is_nothing_to_look_at(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    line = _refusal(capsys, *command, "--config", _write(tmp_path))
    assert "there has been no run yet" in line


@pytest.mark.parametrize("content", [b"", b"no database", b"SQLite format 3\0" + b"x" * 9000])
def test_a_damaged_record_of_runs_is_told_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    path = _write(tmp_path)
    (tmp_path / "output").mkdir()
    (tmp_path / "output" / "metadata.db").write_bytes(content)
    line = _refusal(capsys, "runs", "--config", path)
    assert "metadata.db" in line
    assert "move it away" in line


def test_a_record_of_runs_that_is_gone_is_not_taken_for_no_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = _write(tmp_path)
    (tmp_path / "output" / "logs").mkdir(parents=True)
    (tmp_path / "output" / "logs" / "20260101-000000.log").write_text("")
    line = _refusal(capsys, "runs", "--config", path)
    assert "logs of earlier runs" in line


def test_there_is_no_tensorboard_before_a_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = _refusal(capsys, "tensorboard", "--config", _write(tmp_path))
    assert "nothing has been trained yet" in line


def test_tensorboard_shows_the_trainings(tmp_path: Path) -> None:
    path = _write(tmp_path)
    (Path(load(path, []).output) / "artifacts" / "trainer" / "model_run").mkdir(parents=True)
    command = [sys.executable, "-m", "retrain", "tensorboard", "--config", path, "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        (url,) = re.findall(r"http://\S+", line)
        with urllib.request.urlopen(f"{url}data/environment", timeout=PATIENCE_SECONDS) as answer:
            assert "window_title" in answer.read().decode()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 0, errors
    finally:
        process.kill()
