"""List images whose labels may be wrong, to correct them.

They are of train, val and test. Edit the column label of the table, and ingest it.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.data.escaping import one_line
from retrain import arguments, terminal
from retrain.arguments import A_RUN
from retrain.environment import load_tensorflow
from retrain.exit_codes import DONE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from components.suspects.report import Suspects

_SHOWN = 20


def add(parser: ArgumentParser) -> None:
    """Adds the command's options."""
    arguments.add(parser, "--config", "--json")
    parser.add_argument("run", nargs="?", metavar="RUN", help=f"{A_RUN} (default: the last run)")
    parser.add_argument(
        "--output", type=Path, metavar="FILE.csv", help="write a table that retrain ingest reads"
    )
    parser.add_argument(
        "--images",
        type=Path,
        metavar="DIR",
        help="the folder that was ingested, or that of the table: the paths then lead there from"
        " FILE.csv (default: paths as they were ingested)",
    )
    parser.add_argument(
        "--all",
        action="store_true",
        help="write all other images after the suspects, so that the table can replace the span",
    )


def act(options: Namespace) -> int:
    """Runs the command and returns its exit code."""
    from pipeline.config import ConfigError, load

    settings = load(options.config)
    for flag in ("images", "all"):
        if getattr(options, flag) and options.output is None:
            raise ConfigError(f"--{flag}: give --output with it")
    if options.images is not None and not options.images.is_dir():
        raise ConfigError(f"--images: there is no folder {options.images}")
    load_tensorflow()
    from pipeline.history import runs, suspects

    history = runs.open_history(settings)
    run = runs.find(history, options.run)
    found = suspects.found(history, run)
    names = suspects.labels(settings, history, run)
    if options.output is not None:
        table = list(
            suspects.everything(history, run, found) if options.all else suspects.rows(found)
        )
        suspects.write(table, options.output, names, options.images, whole=options.all)
    if options.json:
        terminal.say(_as_json(run, found, names, options.output))
    else:
        _show(found, names, options.output)
    return DONE


def _as_json(run: str, found: Suspects, names: Sequence[str], output: Path | None) -> str:
    return json.dumps(
        {
            "run": run,
            "searched": found.searched,
            "output": None if output is None else str(output),
            "suspects": [
                {
                    "path": one.image.name,
                    "split": one.image.split,
                    "given": names[one.image.label],
                    "suggested": names[one.suggested],
                    "confidence": one.confidence,
                }
                for one in found.found
            ],
        }
    )


def _show(found: Suspects, names: Sequence[str], output: Path | None) -> None:
    """Prints the first suspects, and where the rest is."""
    from rich.markup import escape
    from rich.table import Table

    console = terminal.console()
    table = Table(box=None, pad_edge=False)
    table.add_column("image", overflow="fold")
    for name in ("split", "given", "suggested"):
        table.add_column(name)
    table.add_column("confidence", justify="right")
    for one in found.found[:_SHOWN]:
        cells = (
            one_line(one.image.name),
            one.image.split,
            names[one.image.label],
            names[one.suggested],
        )
        table.add_row(*map(escape, cells), f"{one.confidence:.3f}")
    if table.row_count:
        console.print(table)
    count = f"{len(found.found)} of {found.searched} labels are suspect"
    where = f"; {output} lists them" if output else ""
    more = "; --output FILE.csv lists all" if not output and len(found.found) > _SHOWN else ""
    terminal.say(f"{count}{where}{more}")
