"""The command line's part about the cluster: `compile`, `submit`, `schedule` and `watch`.

As in `pipeline.cli`, whatever is heavy loads inside the command that needs it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.config import Config

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

    parameters = argparse.ArgumentParser(add_help=False)
    parameters.add_argument(
        "--parameter",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="give what was compiled another value of a config key, such as data.span=3",
    )

    compiling = commands.add_parser(
        "compile", parents=[common, config, parameters], help="write the pipeline for Kubeflow"
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

    host = argparse.ArgumentParser(add_help=False)
    host.add_argument(
        "--host", metavar="URL", help="Kubeflow Pipelines (default: KF_PIPELINES_ENDPOINT)"
    )
    host.add_argument("--namespace", help="the profile's namespace, on a host with several users")

    submit = commands.add_parser(
        "submit", parents=[common, config, host, parameters], help="run the pipeline on Kubeflow"
    )
    submit.set_defaults(command=_submit)

    schedule = commands.add_parser(
        "schedule",
        parents=[common, config, host, parameters],
        help="have it run on Kubeflow, on a schedule",
    )
    schedule.add_argument(
        "--name", help="the schedule's name (default: the pipeline's); the same name replaces"
    )
    schedule.add_argument(
        "--max-concurrency", type=_positive, metavar="N", help="runs at once (default: 1)"
    )
    actions = schedule.add_mutually_exclusive_group(required=True)
    actions.add_argument(
        "--cron", metavar="FIELDS", help="when: five fields, or six with seconds first"
    )
    for action in ("pause", "resume", "delete"):
        actions.add_argument(
            f"--{action}", action="store_const", const=action, dest="action", help=f"{action} it"
        )
    actions.add_argument("--list", action="store_true", help="show the schedules")
    schedule.set_defaults(command=_schedule)

    watching = commands.add_parser(
        "watch", parents=[common, config, host], help="start a run whenever a new span appears"
    )
    watching.add_argument(
        "--every", type=_positive, default=60, metavar="SECONDS", help="how often (default: 60)"
    )
    watching.add_argument("--once", action="store_true", help="look once and end")
    watching.set_defaults(command=_watch)


def _settings(options: argparse.Namespace) -> Config:
    """Reads the config of what is to be compiled.

    Raises:
        ConfigError: see `load` and `check_weights`.
    """
    from pipeline.config import check_weights, load

    settings = load(options.config, options.set)
    check_weights(settings)
    return settings


def _compile(options: argparse.Namespace) -> int:
    from pipeline.config import ConfigError

    settings = _settings(options)
    if options.dry_run_in and options.target != "kubeflow":
        raise ConfigError("--dry-run-in: only --target kubeflow can run here")
    if options.parameter and not options.dry_run_in:
        raise ConfigError("--parameter: allowed only with --dry-run-in, as compiling runs nothing")
    _prepare()
    from kubeflow import compile as compiler
    from kubeflow.blueprint import blueprint, chosen

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
        values = chosen(blueprint(settings), options.parameter)
        return _dry_run(text, Path(options.dry_run_in), values, options.json)
    print(json.dumps({"path": str(output)}) if options.json else f"{output} is written")
    return _DONE


def _dry_run(text: str, folder: Path, values: dict[str, Any], as_json: bool) -> int:
    from kubeflow.emulator.driver import ParameterError
    from kubeflow.emulator.run import FAILED, BusyError, TaskRun, run
    from pipeline.config import ConfigError

    def show(task: TaskRun) -> None:
        reason = f": {task.reason}" if task.reason else ""
        print(f"  {task.task:32} {task.state:10} {task.seconds:7.1f} s{reason}", file=sys.stderr)

    try:
        tasks = run(text, folder.absolute(), values, show)
    except BusyError as error:
        raise ConfigError(f"--dry-run-in: {error}") from error
    except ParameterError as error:
        raise ConfigError(f"--parameter: {error}") from error
    failed = [task for task in tasks if task.state == FAILED]
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

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    warnings.filterwarnings("ignore", category=FutureWarning, module="google")
    # Kubeflow's client sets urllib3's own level anew; a host that is not there gets one line.
    for name in ("absl", "urllib3.connectionpool"):
        logging.getLogger(name).setLevel(logging.ERROR)


def _submit(options: argparse.Namespace) -> int:
    settings = _settings(options)
    _prepare()
    with _refusals():
        from kubeflow import compile as compiler
        from kubeflow.blueprint import blueprint, chosen
        from kubeflow.host import Host

        name, text = compiler.pipeline_name(settings), compiler.compile_for_kubeflow(settings)
        values = chosen(blueprint(settings), options.parameter)

        host = Host(options.host, options.namespace)
        version = host.upload(name, text)
        run = host.submit(version, name, name, values, settings.kubeflow.pipeline_root)
    _tell(options.json, f"run {run} is started", run=run, pipeline_version=version.version)
    return _DONE


def _schedule(options: argparse.Namespace) -> int:
    from pipeline.config import ConfigError, load

    making = options.cron is not None
    for flag, given in (
        ("--parameter", options.parameter),
        ("--max-concurrency", options.max_concurrency),
    ):
        if given and not making:
            raise ConfigError(f"{flag}: allowed only with --cron, which makes the schedule")
    settings = _settings(options) if making else load(options.config, options.set)
    _prepare()
    with _refusals():
        from kubeflow.blueprint import blueprint, chosen
        from kubeflow.cron import six_fields
        from kubeflow.host import Host

        cron = six_fields(options.cron) if making else None
        from kubeflow import compile as compiler

        pipeline = compiler.pipeline_name(settings)
        name = options.name or pipeline
        if cron is not None:
            text = compiler.compile_for_kubeflow(settings)
            values = chosen(blueprint(settings), options.parameter)
            host = Host(options.host, options.namespace)
            schedule = host.schedule(
                host.upload(pipeline, text),
                pipeline,
                name,
                cron,
                values,
                settings.kubeflow.pipeline_root,
                options.max_concurrency or 1,
            )
            state = "runs" if schedule.enabled else "stays paused; after --resume it runs"
            message = (
                f"schedule {name} {state} at {cron!r} (second, minute, hour, day, month, weekday),"
                " in the cluster's CRON_SCHEDULE_TIMEZONE, which is UTC unless it was set"
            )
            _tell(
                options.json,
                message,
                schedule=schedule.id,
                name=name,
                cron=cron,
                enabled=schedule.enabled,
            )
            return _DONE
        host = Host(options.host, options.namespace)
        schedules = host.schedules(pipeline)
        if options.list:
            lines = [
                f"{one.name}  {one.cron}  {'on' if one.enabled else 'paused'}" for one in schedules
            ]
            text = "\n".join(lines) or "there is no schedule"
            _tell(options.json, text, schedules=[vars(one) for one in schedules])
            return _DONE
        meant = [one for one in schedules if one.name == name]
        if not meant:
            names = ", ".join(one.name for one in schedules) or "there is none"
            raise ConfigError(f"--name: found {name}; allowed: {names}")
        act, done = {
            "pause": (host.pause, "paused"),
            "resume": (host.resume, "resumed"),
            "delete": (host.delete, "deleted"),
        }[options.action]
        for one in meant:
            act(one)
        _tell(options.json, f"schedule {name} is {done}", name=name, state=done)
    return _DONE


def _watch(options: argparse.Namespace) -> int:
    settings = _settings(options)
    _prepare()
    from kubeflow import watch

    with _refusals():
        for submitted in watch.submissions(
            settings, options.host, options.namespace, options.every, _warn, once=options.once
        ):
            _tell(
                options.json,
                f"span {submitted.span}: run {submitted.run} "
                + ("is started" if submitted.new else "was started before"),
                span=submitted.span,
                run=submitted.run,
                new=submitted.new,
            )
    return _DONE


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    """Turns what the host refuses into bad input: one line and exit code 2."""
    from kubeflow.cron import CronError
    from kubeflow.host import HostError
    from pipeline.config import ConfigError

    try:
        yield
    except CronError as error:
        raise ConfigError(f"--cron: {error}") from error
    except HostError as error:
        raise ConfigError(str(error)) from error


def _tell(as_json: bool, text: str, **content: object) -> None:
    print(json.dumps(content) if as_json else text, flush=True)


def _warn(text: str) -> None:
    print(f"retrain: {text}", file=sys.stderr, flush=True)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not positive")
    return number
