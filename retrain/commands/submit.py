"""`retrain submit`: run the pipeline on Kubeflow."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from retrain import cluster
from retrain.arguments import (
    Commands,
    add_config,
    add_host,
    add_json,
    add_overrides,
    add_parameters,
    command,
)
from retrain.exit_codes import DONE


def add(commands: Commands[ArgumentParser]) -> None:
    """Adds the command."""
    parser = command(commands, "submit", _submit, "run the pipeline on Kubeflow")
    add_config(parser)
    add_overrides(parser)
    add_json(parser)
    add_host(parser)
    add_parameters(parser)


def _submit(options: Namespace) -> int:
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
