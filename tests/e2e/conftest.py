"""A workspace with digits and a way to run the pipeline on them."""

import dataclasses
import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from retrain.__main__ import main
from tests.e2e import forks

REPOSITORY = Path(__file__).resolve().parents[2]
_CONFIG = "config.yaml"
_VARIABLES = {"COLUMNS": "200"}


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
    """Runs the command line to its end, in a process that starts with all loaded."""
    with tempfile.TemporaryDirectory() as folder:
        output, errors = Path(folder, "output"), Path(folder, "errors")
        code = start(arguments, output, errors).wait()
        return Finished(code, output.read_text("utf-8"), errors.read_text("utf-8"))


def start(arguments: Sequence[str], output: Path, errors: Path) -> forks.Fork:
    """Starts the command line, and appends what it prints to two files."""
    return forks.start(main, arguments, _VARIABLES, output, errors)


def command(*arguments: str) -> list[str]:
    """Returns the command as people type it, which loads everything itself; see `spawn`."""
    return [sys.executable, "-m", "retrain", *arguments]


def spawn() -> dict[str, Any]:
    return {"cwd": REPOSITORY, "env": {**os.environ, **_VARIABLES}}


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
    config = folder / _CONFIG
    config.write_text(yaml.safe_dump(settings), encoding="utf-8")
    return Workspace(folder, config)


Once = Callable[[str, Callable[[Path], None]], Path]


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Once:
    """Fills a folder in the first of pytest's processes that needs it; the others wait for it."""
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent  # which all workers have in common

    def fill(name: str, make: Callable[[Path], None]) -> Path:
        folder, filled = root / name, root / f"{name}.filled"
        with (root / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not filled.exists():
                shutil.rmtree(folder, ignore_errors=True)  # of an attempt that failed
                folder.mkdir()
                make(folder)
                filled.touch()
        return folder

    return fill


@pytest.fixture(scope="session")
def digits(once: Once) -> Path:
    """A data root with scikit-learn's digits, as the command line ingests them."""

    def ingest(root: Path) -> None:
        done = retrain("ingest", "digits", "--output", str(root))
        assert done.code == 0, done.errors

    return once("digits", ingest)


@pytest.fixture(scope="session")
def workspace(once: Once, digits: Path) -> Workspace:
    """The workspace of the first run, for `test_runs.py` alone to go on with, in its order."""

    def make(folder: Path) -> None:
        make_workspace(folder, digits)

    folder = once("workspace", make)
    return Workspace(folder, folder / _CONFIG)


@pytest.fixture(scope="session")
def first_run(once: Once, workspace: Workspace) -> Finished:
    """The first run in the workspace, with the command as people type it."""

    def run(folder: Path) -> None:
        typed = command(*workspace.arguments())
        done = subprocess.run(typed, capture_output=True, text=True, check=False, **spawn())
        first = dataclasses.asdict(Finished(done.returncode, done.stdout, done.stderr))
        (folder / "finished.json").write_text(json.dumps(first), "utf-8")

    told = (once("first-run", run) / "finished.json").read_text("utf-8")
    return Finished(**json.loads(told))
