"""Serve the model store for development; production runs TF Serving.

This server has TF Serving's REST and gRPC API, for machines without the real one. TF Serving takes
the same model folders, the same model config file and the same requests.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from retrain import arguments
from retrain.arguments import DEFAULT_CONFIG
from retrain.environment import load_tensorflow
from retrain.exit_codes import DONE
from serving import options as serving_options
from serving import ports


def add(parser: ArgumentParser) -> None:
    """Adds the command's options."""
    arguments.add(parser, "--config")
    parser.set_defaults(config=None)  # so that the command knows whether it is given
    serving_options.add_arguments(parser)


def act(options: Namespace) -> int:
    """Runs the command and returns its exit code."""
    from pipeline.config import ConfigError, load

    given = [
        f"--{name.replace('_', '-')}"
        for name in ("config", "model_base_path", "models_config")
        if getattr(options, name)
    ]
    if len(given) > 1:
        raise ConfigError(f"{' and '.join(given)}: give one of them")
    if options.model_name and not options.model_base_path:
        raise ConfigError("--model-name: give --model-base-path with it")
    store = None
    if not options.models_config and not options.model_base_path:
        store = load(options.config or DEFAULT_CONFIG).model_store
    try:
        ports.check(serving_options.from_arguments(options))
    except OSError as error:
        raise ConfigError(str(error)) from error
    load_tensorflow()
    from components import model_config
    from serving import errors, server

    if store is not None:
        # The file that `retrain rollback` writes decides which version is served.
        model_config.ensure(store)
        options.models_config = model_config.path(store)
    try:
        server.run(serving_options.from_arguments(options), as_json=options.json)
    except (errors.ServingError, OSError) as error:
        raise ConfigError(str(error)) from error
    return DONE
