"""Start a run whenever a new span appears."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from retrain import arguments, cluster, terminal
from retrain.arguments import positive
from retrain.exit_codes import DONE


def add(parser: ArgumentParser) -> None:
    """Adds the command's options."""
    arguments.add(parser, "--config", "--set", "--json", "--host", "--namespace")
    parser.add_argument(
        "--every", type=positive, default=60, metavar="SECONDS", help="how often (default: 60)"
    )
    parser.add_argument("--once", action="store_true", help="look once and end")


def act(options: Namespace) -> int:
    """Runs the command and returns its exit code."""
    settings = cluster.settings(options)
    from kubeflow import watch

    with cluster.refusals():
        for submitted in watch.submissions(
            settings, options.host, options.namespace, options.every, _warn, once=options.once
        ):
            cluster.tell(
                options.json,
                f"span {submitted.span}: run {submitted.run} "
                + ("is started" if submitted.new else "was started before"),
                span=submitted.span,
                run=submitted.run,
                new=submitted.new,
            )
    return DONE


def _warn(text: str) -> None:
    terminal.say(f"retrain: {text}", error=True)
