"""A workspace with digits and a way to run the pipeline on them."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Finished:
    """A command that ended: its exit code, what it printed, and that as JSON."""

    code: int
    output: str
    errors: str

    @property
    def json(self) -> Any:
        return json.loads(self.output)

    def states(self) -> dict[str, str]:
        return {component["id"]: component["state"] for component in self.json["components"]}


def retrain(*arguments: str) -> Finished:
    """Runs the command line to its end."""
    done = subprocess.run(
        command(*arguments), capture_output=True, text=True, check=False, **spawn()
    )
    return Finished(done.returncode, done.stdout, done.stderr)


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "pipeline", *arguments]


def spawn() -> dict[str, Any]:
    return {"cwd": REPOSITORY, "env": {**os.environ, "COLUMNS": "200"}}


@dataclass(frozen=True)
class Workspace:
    """Data, and a config that puts all it makes under one folder."""

    folder: Path
    config: Path

    @property
    def output(self) -> Path:
        return self.folder / "out"

    @property
    def store(self) -> Path:
        return self.output / "models" / "digits"

    def versions(self) -> list[str]:
        return sorted(path.name for path in self.store.glob("*")) if self.store.exists() else []

    def files(self, pattern: str) -> list[str]:
        """Lists the files of artifacts by a pattern below their folder."""
        return sorted(str(path) for path in (self.output / "artifacts").glob(pattern))

    def arguments(self, *settings: str, runner: str = "beam") -> list[str]:
        overrides = [part for setting in settings for part in ("--set", setting)]
        return ["run", "--config", str(self.config), "--runner", runner, "--json", *overrides]

    def run(self, *settings: str, runner: str = "beam") -> Finished:
        return retrain(*self.arguments(*settings, runner=runner))


def make_workspace(folder: Path, data: Path) -> Workspace:
    """Writes a config for quick runs: the pretrained backbone, on the smallest images it takes."""
    settings = {
        "name": "digits",
        "data": {"root": str(data)},
        "image": {"size": 32},
        "trainer": {"batch_size": 64, "epochs": 15},
        "evaluation": {"thresholds": {"accuracy": {"min": 0.3}}},
        "output": str(folder / "out"),
    }
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump(settings), encoding="utf-8")
    return Workspace(folder, config)


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root with scikit-learn's digits, as the command line ingests them."""
    root = tmp_path_factory.mktemp("digits")
    done = retrain("ingest", "digits", "--output", str(root))
    assert done.code == 0, done.errors
    return root


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory, digits: Path) -> Workspace:
    """The workspace that the tests of `test_runs.py` share, in their order."""
    return make_workspace(tmp_path_factory.mktemp("workspace"), digits)


@pytest.fixture(scope="session")
def first_run(workspace: Workspace) -> Finished:
    """The first run in the workspace."""
    return workspace.run()
