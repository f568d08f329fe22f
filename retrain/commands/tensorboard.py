"""Start TensorBoard on the logs of all trainings."""

from __future__ import annotations

import contextlib
import threading
import webbrowser
from argparse import ArgumentParser, Namespace
from pathlib import Path

from retrain import arguments, terminal
from retrain.exit_codes import DONE


def add(parser: ArgumentParser) -> None:
    """Adds the command's options."""
    arguments.add(parser, "--config")
    parser.add_argument("--port", type=int, default=6006, help="(default: 6006)")
    parser.add_argument("--open", action="store_true", help="open it in the browser")


def act(options: Namespace) -> int:
    """Runs the command and returns its exit code."""
    from pipeline.config import ConfigError, load
    from pipeline.graph import nodes

    logs = Path(load(options.config).output, "artifacts", nodes.TRAINER, "model_run")
    if not logs.is_dir():
        raise ConfigError(f"{logs} does not exist: nothing has been trained yet; retrain run")
    from tensorboard import program

    board = program.TensorBoard()
    board.configure(argv=["tensorboard", "--logdir", str(logs), "--port", str(options.port)])
    try:
        url = board.launch()
    except program.TensorBoardServerException as error:
        raise ConfigError(f"--port: {error}") from error
    with contextlib.suppress(KeyboardInterrupt):
        terminal.say(f"TensorBoard shows all trainings at {url} until Ctrl-C")
        if options.open:
            webbrowser.open(url)
        threading.Event().wait()
    return DONE
