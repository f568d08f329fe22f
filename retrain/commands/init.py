"""Write a config to start from."""

from __future__ import annotations

import shlex
from argparse import ArgumentParser, Namespace
from pathlib import Path

from retrain import terminal
from retrain.arguments import DEFAULT_CONFIG
from retrain.exit_codes import DONE


def add(parser: ArgumentParser) -> None:
    """Adds the command's options."""
    parser.add_argument("directory", nargs="?", default=".", help="where (default: here)")
    parser.add_argument("--name", default="images", help="the pipeline's name (default: images)")


def act(options: Namespace) -> int:
    """Runs the command and returns its exit code."""
    from pipeline.config import ConfigError, template

    folder = Path(options.directory)
    target = folder / DEFAULT_CONFIG
    if target.exists():
        raise ConfigError(f"{target} exists; it is left as it is")
    try:
        text = template.render(options.name)
    except ConfigError as error:
        raise ConfigError(f"--name: {str(error).rpartition('name: ')[2]}") from error
    folder.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")
    terminal.say(f"{target} is written. Next, bring in images and run:")
    terminal.say(f"  retrain ingest FOLDER --output data/{options.name}")
    terminal.say(f"  retrain run --config {shlex.quote(str(target))}")
    return DONE
