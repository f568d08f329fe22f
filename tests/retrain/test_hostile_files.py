"""Files from strangers: nothing in them runs, and one line says what is wrong."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from retrain.__main__ import main
from tests.kubeflow.conftest import settings
from tests.trainer.backbones import gadgets
from trainer.backbones import registry


@pytest.fixture
def marker(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "marker"
    yield path
    assert not path.exists()


@pytest.fixture
def compile_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Any:
    """Returns a function that compiles with other settings or text and returns the one error."""
    monkeypatch.chdir(tmp_path)

    def run(*overrides: str, before: str = "") -> str:
        config = tmp_path / "retrain.yaml"
        config.write_text(before + yaml.safe_dump(settings().model_dump(mode="json")), "utf-8")
        given = [part for override in overrides for part in ("--set", override)]
        assert main(["compile", "--config", str(config), *given]) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        (line,) = captured.err.splitlines()
        return line

    return run


def test_a_keras_file_that_runs_a_command(compile_with: Any, tmp_path: Path, marker: Path) -> None:
    path = tmp_path / "evil.keras"
    gadgets.with_config(path, lambda config: gadgets.command(config, marker))
    line = compile_with(f"backbone.path={path}", "image.size=null")
    assert f"{path}: found the function 'system' of os" in line
    assert "allowed: " in line


def test_a_saved_model_that_writes_a_file(compile_with: Any, tmp_path: Path, marker: Path) -> None:
    path = gadgets.Graph(gadgets.effects(marker)["write"]).save(tmp_path / "evil")
    line = compile_with(f"backbone.path={path}", "image.size=null")
    assert f"{path}: found the operation WriteFile" in line
    assert "allowed: " in line


@pytest.mark.parametrize(
    "text",
    [
        "data: !!python/object/apply:os.mkdir [{marker}]\n",
        "data: !!python/object/new:os.mkdir [{marker}]\n",
        "data: !!python/name:os.system\n",
    ],
)
def test_a_config_that_makes_objects(compile_with: Any, marker: Path, text: str) -> None:
    assert "not YAML at line 1" in compile_with(before=text.format(marker=marker))


def test_weights_that_run_a_command(tmp_path: Path, marker: Path) -> None:
    class Command:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(marker),)

    path = tmp_path / "evil.pth"
    for content in (pickle.dumps(Command()), b"PK\x03\x04" + bytes(60)):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"evil\.pth: ") as caught:
            registry.get("efficientnet_lite0").build(32, str(path))
        assert "\n" not in str(caught.value)
