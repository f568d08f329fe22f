"""Write the pipeline for Kubeflow."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from retrain import arguments, cluster, terminal
from retrain.exit_codes import DONE, REFUSED


def add(parser: ArgumentParser) -> None:
    """Adds the command's options."""
    arguments.add(parser, "--config", "--set", "--json", "--parameter")
    parser.add_argument(
        "--output", metavar="FILE", help="where to (default: pipeline.yaml, or .json for vertex)"
    )
    parser.add_argument(
        "--target",
        choices=("kubeflow", "vertex"),
        default="kubeflow",
        help="open-source Kubeflow Pipelines or Vertex AI Pipelines (default: kubeflow)",
    )
    parser.add_argument(
        "--dry-run-in",
        metavar="DIR",
        help="also run what was compiled here, as the cluster would, keeping all it makes in DIR",
    )


def act(options: Namespace) -> int:
    """Runs the command and returns its exit code."""
    from pipeline.config import ConfigError

    settings = cluster.settings(options)
    if options.dry_run_in and options.target != "kubeflow":
        raise ConfigError("--dry-run-in: only --target kubeflow can run here")
    if options.parameter and not options.dry_run_in:
        raise ConfigError("--parameter: allowed only with --dry-run-in, as compiling runs nothing")
    from kubeflow import compile as compiler
    from kubeflow.blueprint import blueprint, chosen

    if options.target == "kubeflow":
        text, output = compiler.compile_for_kubeflow(settings), Path("pipeline.yaml")
    else:
        text, output = compiler.compile_for_vertex(settings), Path("pipeline.json")
    output = Path(options.output or output)
    partial = output.with_name(f".{output.name}.partial")
    try:
        partial.write_text(text, "utf-8")
        partial.replace(output)
    except OSError as error:
        raise ConfigError(f"--output: {output} cannot be written: {error.strerror}") from error
    if options.dry_run_in:
        values = chosen(blueprint(settings), options.parameter)
        return _dry_run(text, Path(options.dry_run_in), values, options.json)
    cluster.tell(options.json, f"{output} is written", path=str(output))
    return DONE


def _dry_run(text: str, folder: Path, values: dict[str, Any], as_json: bool) -> int:
    from kubeflow.emulator.driver import ParameterError
    from kubeflow.emulator.run import FAILED, BusyError, TaskRun, run
    from pipeline.config import ConfigError

    def show(task: TaskRun) -> None:
        reason = f": {task.reason}" if task.reason else ""
        line = f"  {task.task:32} {task.state:10} {task.seconds:7.1f} s{reason}"
        terminal.say(line, error=True)

    try:
        tasks = run(text, folder.absolute(), values, show)
    except BusyError as error:
        raise ConfigError(f"--dry-run-in: {error}") from error
    except ParameterError as error:
        raise ConfigError(f"--parameter: {error}") from error
    failed = [task for task in tasks if task.state == FAILED]
    if as_json:
        terminal.say(json.dumps({"succeeded": not failed, "tasks": [vars(task) for task in tasks]}))
    else:
        for task in failed:
            terminal.say(f"{task.task} failed; its log is {task.log}")
        if not failed:
            terminal.say(f"all {len(tasks)} tasks succeeded; their artifacts are in {folder}/store")
    return REFUSED if failed else DONE
