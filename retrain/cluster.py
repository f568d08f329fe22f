"""What the commands about the cluster have in common: compile, submit, schedule, watch."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import warnings
from argparse import Namespace
from collections.abc import Iterator
from typing import TYPE_CHECKING

from retrain import kubeflow_package

if TYPE_CHECKING:
    from pipeline.config import Config


def settings(options: Namespace) -> Config:
    """Reads the config of what is to be compiled, and quietens the libraries that compile it.

    Raises:
        ConfigError: see `load` and `check_weights`.
    """
    from pipeline.config import check_weights, load

    found = load(options.config, options.set)
    check_weights(found)
    prepare()
    return found


def prepare() -> None:
    """Checks that `import kubeflow` finds the cluster's code, and quietens libraries.

    Raises:
        ConfigError: Python finds another package of that name.
    """
    kubeflow_package.check()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    warnings.filterwarnings("ignore", category=FutureWarning, module="google")
    # Kubeflow's client sets urllib3's own level anew; a host that is not there gets one line.
    for name in ("absl", "urllib3.connectionpool"):
        logging.getLogger(name).setLevel(logging.ERROR)


@contextlib.contextmanager
def refusals() -> Iterator[None]:
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


def tell(as_json: bool, text: str, **content: object) -> None:
    """Prints a sentence, or the content as one JSON object."""
    print(json.dumps(content) if as_json else text, flush=True)
