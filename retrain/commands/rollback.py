"""Have an earlier version served.

It pins serving to a version, through TF Serving's model config file beside the model store. New
versions are pushed as before, but not served until --clear.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace

from retrain import arguments, terminal
from retrain.arguments import natural
from retrain.environment import load_tensorflow
from retrain.exit_codes import DONE


def add(parser: ArgumentParser) -> None:
    """Adds the command's options."""
    arguments.add(parser, "--config", "--json")
    target = parser.add_mutually_exclusive_group()
    target.add_argument(
        "--to",
        type=natural,
        metavar="VERSION",
        help="the version to serve (default: the one before the version that is served)",
    )
    target.add_argument("--clear", action="store_true", help="serve the newest version again")


def act(options: Namespace) -> int:
    """Runs the command and returns its exit code."""
    from pipeline.config import load

    store = load(options.config).model_store
    load_tensorflow()
    from components import model_config, model_store

    if options.clear:
        model_config.clear(store)
        version = model_store.newest(store)
    else:
        version = _pinned(store, options.to)
    if options.json:
        terminal.say(json.dumps({"version": version, "pinned": not options.clear, "store": store}))
    elif options.clear:
        terminal.say(f"The newest version is served again: {version or 'there is none yet'}")
    else:
        terminal.say(f"Version {version} is served from now on, until: retrain rollback --clear")
    return DONE


def _pinned(store: str, version: int | None) -> int:
    """Pins a version and returns its number; None pins the version before the served one."""
    from components import model_config, model_store
    from pipeline.config import ConfigError

    there = model_store.versions(store)
    if not there:
        raise ConfigError(f"{store} holds no version; a run that passes its checks pushes one")
    listed = ", ".join(str(each) for each in there)
    if version is None:
        now = model_config.in_production(store)
        earlier = [each for each in there if now is not None and each < now]
        if not earlier:
            raise ConfigError(f"{store} holds no version before {now}; it holds {listed}")
        version = earlier[-1]
    elif version not in there:
        raise ConfigError(f"--to: found {version}; allowed: {listed}")
    model_config.pin(store, version)
    return version
