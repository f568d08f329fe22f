"""`retrain serve`: serve the model store for development."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from retrain.arguments import DEFAULT_CONFIG, Commands, add_config, command
from retrain.environment import prepare_tensorflow
from retrain.exit_codes import DONE
from serving import options as serving_options


def add(commands: Commands[ArgumentParser]) -> None:
    """Adds the command."""
    parser = command(
        commands,
        "serve",
        _serve,
        "serve the model store for development; production runs TF Serving",
        serving_options.DESCRIPTION,
    )
    add_config(parser, default=None)
    serving_options.add_arguments(parser)


def _serve(options: Namespace) -> int:
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
    prepare_tensorflow()
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
