"""Write a config to start from."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

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
    text = template.render(options.name)
    folder.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")
    print(f"{target} is written. Next, bring in images and run:")
    print(f"  retrain ingest FOLDER --output data/{options.name}")
    print(f"  retrain run --config {target}")
    return DONE
