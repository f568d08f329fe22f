"""Runs small pipelines in the emulator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kubeflow.emulator.run import TaskRun, run
from tests.kubeflow.conftest import Pipeline

# A command that writes the task's output `model`: a file, and an empty folder.
WRITE = """
path="$RETRAIN_MOUNTS/minio/$(echo "$1" | grep -o 'mlpipeline/v2/[^"]*/model' | tail -1)"
mkdir -p "$path/empty"; echo content > "$path/file"
"""
CONSTANT = {"runtimeValue": {"constant": "a"}}


def dry_run(pipeline: Pipeline, folder: Path, **parameters: Any) -> dict[str, TaskRun]:
    return {task.task: task for task in run(pipeline.text(), folder, parameters)}


def states(tasks: dict[str, TaskRun]) -> dict[str, str]:
    return {name: task.state for name, task in tasks.items()}
