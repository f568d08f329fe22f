"""Code that the commands about the cluster share: compile, submit, schedule, watch."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import warnings
from argparse import Namespace
from collections.abc import Iterator
from typing import TYPE_CHECKING

from retrain import kubeflow_package, terminal
from retrain.environment import load_tensorflow

if TYPE_CHECKING:
    from pipeline.config import Config


def settings(options: Namespace) -> Config:
    """Reads and checks the config that `options` name, and prepares for compiling it.

    Raises:
        ConfigError: see `load`, `check_weights` and `prepare`.
    """
    from pipeline.config import check_weights, load

    found = load(options.config, options.set)
    check_weights(found)
    prepare()
    return found


def prepare() -> None:
    """Checks that `import kubeflow` finds this project's package, and quietens libraries.

    Raises:
        ConfigError: Python finds another package named `kubeflow`.
    """
    kubeflow_package.check()
    load_tensorflow()
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    warnings.filterwarnings("ignore", category=FutureWarning, module="google")
    # Kubeflow's client resets the level of urllib3 itself; an unreachable host gets one line.
    for name in ("absl", "urllib3.connectionpool"):
        logging.getLogger(name).setLevel(logging.ERROR)


@contextlib.contextmanager
def refusals() -> Iterator[None]:
    """Turns errors of `--cron` and of the Kubeflow host into a ConfigError, which is bad input."""
    from kubeflow.cron import CronError
    from kubeflow.host import HostError
    from pipeline.config import ConfigError

    try:
        yield
    except CronError as error:
        raise ConfigError(f"--cron: {error}") from error
    except HostError as error:
        raise ConfigError(str(error)) from error


def tell(as_json: bool, text: str, **content: object) -> None:
    """Prints the text, or if `as_json` the content as one JSON object."""
    terminal.say(json.dumps(content) if as_json else text)
