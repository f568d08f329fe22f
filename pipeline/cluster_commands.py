"""The command line's part about the cluster: `compile`, `submit`, `schedule` and `watch`.

As in `pipeline.cli`, whatever is heavy loads inside the command that needs it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

_DONE, _REFUSED = 0, 1


def add(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    common: argparse.ArgumentParser,
    default_config: str,
) -> None:
    """Adds the commands to the parser of `retrain`."""
    config = argparse.ArgumentParser(add_help=False)
    config.add_argument(
        "--config",
        default=default_config,
        metavar="FILE",
        help=f"the config (default: {default_config} in this folder)",
    )
    config.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="override a config key, such as trainer.epochs=5; may be given again",
    )
    config.add_argument("--json", action="store_true", help="print one JSON object")

    compiling = commands.add_parser(
        "compile", parents=[common, config], help="write the pipeline for Kubeflow"
    )
    compiling.add_argument(
        "--output", metavar="FILE", help="where to (default: pipeline.yaml, or .json for vertex)"
    )
    compiling.add_argument(
        "--target",
        choices=("kubeflow", "vertex"),
        default="kubeflow",
        help="open-source Kubeflow Pipelines or Vertex AI Pipelines (default: kubeflow)",
    )
    compiling.add_argument(
        "--dry-run-in",
        metavar="DIR",
        help="also run what was compiled here, as the cluster would, keeping all it makes in DIR",
    )
    compiling.set_defaults(command=_compile)


def _compile(options: argparse.Namespace) -> int:
    from pipeline.config import ConfigError, load

    settings = load(options.config, options.set)
    if options.dry_run_in and options.target != "kubeflow":
        raise ConfigError("--dry-run-in: only --target kubeflow can run here")
    _prepare()
    from kubeflow import compile as compiler

    text = (
        compiler.compile_for_kubeflow(settings)
        if options.target == "kubeflow"
        else compiler.compile_for_vertex(settings)
    )
    output = Path(
        options.output or ("pipeline.yaml" if options.target == "kubeflow" else "pipeline.json")
    )
    partial = output.with_name(f".{output.name}.partial")
    try:
        partial.write_text(text, "utf-8")
        partial.replace(output)
    except OSError as error:
        raise ConfigError(f"--output: {output} cannot be written: {error.strerror}") from error
    if options.dry_run_in:
        return _dry_run(text, Path(options.dry_run_in), options.json)
    print(json.dumps({"path": str(output)}) if options.json else f"{output} is written")
    return _DONE


def _dry_run(text: str, folder: Path, as_json: bool) -> int:
    from kubeflow import local_launcher
    from pipeline.config import ConfigError

    def show(task: local_launcher.TaskRun) -> None:
        reason = f": {task.reason}" if task.reason else ""
        print(f"  {task.task:32} {task.state:10} {task.seconds:7.1f} s{reason}", file=sys.stderr)

    try:
        tasks = local_launcher.run(text, folder.absolute(), {}, show)
    except local_launcher.BusyError as error:
        raise ConfigError(f"--dry-run-in: {error}") from error
    failed = [task for task in tasks if task.state == local_launcher.FAILED]
    if as_json:
        print(json.dumps({"succeeded": not failed, "tasks": [vars(task) for task in tasks]}))
    else:
        for task in failed:
            print(f"{task.task} failed; its log is {task.log}")
        if not failed:
            print(f"all {len(tasks)} tasks succeeded; their artifacts are in {folder}/store")
    return _REFUSED if failed else _DONE


def _prepare() -> None:
    """Quietens what the libraries print when they load and compile."""
    import logging
    import warnings

    from pipeline.cli import prepare_tensorflow

    prepare_tensorflow()
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    warnings.filterwarnings("ignore", category=FutureWarning, module="google")
    logging.getLogger("absl").setLevel(logging.ERROR)
