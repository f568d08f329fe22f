"""Have the pipeline run on Kubeflow, on a schedule."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from retrain import arguments, cluster
from retrain.arguments import positive
from retrain.exit_codes import DONE

if TYPE_CHECKING:
    from kubeflow.host import Host


def add(parser: ArgumentParser) -> None:
    """Adds the command's options."""
    arguments.add(parser, "--config", "--set", "--json", "--host", "--namespace", "--parameter")
    parser.add_argument(
        "--name", help="the schedule's name (default: the pipeline's); the same name replaces"
    )
    parser.add_argument(
        "--max-concurrency", type=positive, metavar="N", help="runs at once (default: 1)"
    )
    actions = parser.add_mutually_exclusive_group(required=True)
    actions.add_argument(
        "--cron", metavar="FIELDS", help="when: five fields, or six with seconds first"
    )
    for action in ("pause", "resume", "delete"):
        actions.add_argument(
            f"--{action}", action="store_const", const=action, dest="action", help=f"{action} it"
        )
    actions.add_argument("--list", action="store_true", help="show the schedules")


def act(options: Namespace) -> int:
    """Runs the command and returns its exit code."""
    if options.cron is not None:
        return _make(options)
    from pipeline.config import ConfigError, load

    for flag in ("--parameter", "--max-concurrency"):
        if getattr(options, flag.strip("-").replace("-", "_")):
            raise ConfigError(f"{flag}: allowed only with --cron, which makes the schedule")
    settings = load(options.config, options.set)
    cluster.prepare()
    with cluster.refusals():
        from kubeflow.compile import pipeline_name
        from kubeflow.host import Host

        host = Host(options.host, options.namespace)
        (_list if options.list else _change)(options, host, pipeline_name(settings))
    return DONE


def _make(options: Namespace) -> int:
    settings = cluster.settings(options)
    with cluster.refusals():
        from kubeflow.cron import six_fields
        from kubeflow.host import Host

        cron = six_fields(options.cron)
        from kubeflow import compile as compiler
        from kubeflow.blueprint import blueprint, chosen

        pipeline = compiler.pipeline_name(settings)
        name = options.name or pipeline
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
    cluster.tell(
        options.json,
        f"schedule {name} {state} at {cron!r} (second, minute, hour, day, month, weekday),"
        " in the cluster's CRON_SCHEDULE_TIMEZONE, which is UTC unless it was set",
        schedule=schedule.id,
        name=name,
        cron=cron,
        enabled=schedule.enabled,
    )
    return DONE


def _list(options: Namespace, host: Host, pipeline: str) -> None:
    found = host.schedules(pipeline)
    lines = [f"{one.name}  {one.cron}  {'on' if one.enabled else 'paused'}" for one in found]
    text = "\n".join(lines) or "there is no schedule"
    cluster.tell(options.json, text, schedules=[vars(one) for one in found])


def _change(options: Namespace, host: Host, pipeline: str) -> None:
    from pipeline.config import ConfigError

    name = options.name or pipeline
    schedules = host.schedules(pipeline)
    meant = [one for one in schedules if one.name == name]
    if not meant:
        names = ", ".join(one.name for one in schedules) or "there is none"
        raise ConfigError(f"--name: found {name}; allowed: {names}")
    for one in meant:
        host.change(one, options.action)
    done = {"pause": "paused", "resume": "resumed", "delete": "deleted"}[options.action]
    cluster.tell(options.json, f"schedule {name} is {done}", name=name, state=done)
