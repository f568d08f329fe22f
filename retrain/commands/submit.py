"""Run the pipeline on Kubeflow."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from retrain import arguments, cluster
from retrain.exit_codes import DONE


def add(parser: ArgumentParser) -> None:
    """Adds the command's options."""
    arguments.add(parser, "--config", "--set", "--json", "--host", "--namespace", "--parameter")


def act(options: Namespace) -> int:
    """Runs the command and returns its exit code."""
    settings = cluster.settings(options)
    with cluster.refusals():
        from kubeflow import compile as compiler
        from kubeflow.blueprint import blueprint, chosen
        from kubeflow.host import Host

        name, text = compiler.pipeline_name(settings), compiler.compile_for_kubeflow(settings)
        values = chosen(blueprint(settings), options.parameter)

        host = Host(options.host, options.namespace)
        version = host.upload(name, text)
        run = host.submit(version, name, name, values, settings.kubeflow.pipeline_root)
    cluster.tell(options.json, f"run {run} is started", run=run, pipeline_version=version.version)
    return DONE
