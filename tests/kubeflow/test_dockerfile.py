"""The image, without Docker: what the Dockerfile installs is enough to run a step."""

from __future__ import annotations

import itertools
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.kubeflow.conftest import Compiled

REPOSITORY = Path(__file__).resolve().parents[2]
DOCKERFILE = REPOSITORY / "kubeflow" / "Dockerfile"
ONE_STEP = """
import pathlib, sys, yaml
from kubeflow.emulator.run import run
(task,) = run(pathlib.Path(sys.argv[1]).read_text(), pathlib.Path(sys.argv[2]), {})
print(pathlib.Path(task.log).read_text(), file=sys.stderr)
print(task.state)
"""

IMPORTS = """
import sys
from tfx.utils import import_utils
for path in sys.argv[1:]:
    import_utils.import_class_by_path(path)
    print(path)
"""
# With the nodes that not every graph has; the Report is in all.
SHAPES: list[dict[str, Any]] = [
    {"trainer": {"mode": "head"}, "tuner": {"trials": 2}, "export": {"tflite": "int8"}},
    {"trainer": {"mode": "finetune"}},
    {"trainer": {"mode": "scratch"}},
]


def _imported(spec: dict[str, Any]) -> set[str]:
    """Returns the paths of the classes and functions that the containers of a pipeline import."""
    containers = (one["container"] for one in spec["deploymentSpec"]["executors"].values())
    arguments = [argument for container in containers for argument in container["args"]]
    options = ("--executor_class_path", "--driver_class_path")
    classes = {path for key, path in itertools.pairwise(arguments) if key in options}
    tasks = spec["root"]["dag"]["tasks"].values()
    given = [item for task in tasks for item in task["inputs"].get("parameters", {}).items()]
    functions = ("run_fn", "tuner_fn", "preprocessing_fn")
    return classes | {one["runtimeValue"]["constant"] for key, one in given if key in functions}


def _lines() -> list[str]:
    text = DOCKERFILE.read_text("utf-8").replace("\\\n", " ")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def _copy_context(folder: Path) -> None:
    """Copies what Docker's build sees of the project."""
    folder.mkdir()
    admitted = DOCKERFILE.with_name("Dockerfile.dockerignore").read_text("utf-8")
    for name in re.findall(r"^!(\S+)$", admitted, re.MULTILINE):
        source = REPOSITORY / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, folder / name, ignore=ignored)
        else:
            shutil.copy(source, folder)


def test_the_image_does_not_run_as_root_and_has_no_build_tools() -> None:
    last = _lines()[[line.startswith("FROM") for line in _lines()].index(True, 1) :]
    assert "USER 1000" in last
    assert not [line for line in last if re.search(r"apt-get|pip|uv|COPY (?!--from=build)", line)]


def test_uv_is_the_one_of_the_lock() -> None:
    (pinned,) = re.findall(r"\buv==[\d.]+", DOCKERFILE.read_text("utf-8"))
    assert re.search(f"^{pinned} ", (REPOSITORY / "requirements.lock").read_text("utf-8"), re.M)


def test_dependencies_come_before_the_project() -> None:
    lines = _lines()
    assert lines.index("COPY . .") > lines.index(
        "COPY setup.py pyproject.toml requirements.lock ./"
    )


def test_no_distribution_of_the_lock_brings_a_package_of_our_names() -> None:
    # One of the name kubeflow would hide ours, or ours it.
    lock = (REPOSITORY / "requirements.lock").read_text("utf-8")
    assert not re.search(r"^(kubeflow|kubeflow-\w+|pipeline|components|trainer)==", lock, re.M)


@pytest.mark.slow
def test_what_it_installs_runs_a_compiled_step(
    tmp_path: Path, compiled: Callable[..., Compiled]
) -> None:
    venv, project = tmp_path / "venv", tmp_path / "project"
    _copy_context(project)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    installs = [line for line in _lines() if line.startswith("RUN uv pip install")]
    assert len(installs) == 2
    for line in installs:
        command = line.removeprefix("RUN ").replace("/opt/venv", shlex.quote(str(venv)))
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        subprocess.run(
            ["sh", "-c", command],
            check=True,
            cwd=project,
            env={**os.environ, "PATH": path, "VIRTUAL_ENV": ""},
        )

    spec, _ = compiled()
    tasks = spec["root"]["dag"]["tasks"]
    spec["root"]["dag"]["tasks"] = {"schema-gen": tasks["schema-gen"]}
    file = tmp_path / "pipeline.yaml"
    file.write_text(yaml.safe_dump(spec), "utf-8")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()

    def run_there(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(venv / "bin" / "python"), "-c", program, *arguments]
        return subprocess.run(command, cwd=elsewhere, capture_output=True, text=True, check=False)

    done = run_there(ONE_STEP, str(file), str(tmp_path / "dry"))
    assert done.stdout.strip() == "succeeded", done.stderr[-3000:]
    paths = sorted(set().union(*(_imported(compiled(**shape)[0]) for shape in SHAPES)))
    nodes = ("tuner.executor", "trainer.tuning", "edge_gate", "report", "production_model")
    assert all([path for path in paths if node in path] for node in nodes)
    done = run_there(IMPORTS, *paths)
    assert done.stdout.split() == paths, done.stderr[-3000:]
