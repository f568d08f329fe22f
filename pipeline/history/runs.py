"""The runs on this machine, a line each: `retrain runs`."""

import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from components.pusher import component as pusher
from pipeline.config import Config, ConfigError, is_remote
from pipeline.graph import nodes
from pipeline.history import outcome
from pipeline.history.metadata import History
from pipeline.history.outcome import Outcome


def read(config: Config) -> list[Outcome]:
    """Reads how the runs of a pipeline on this machine ended, oldest first.

    Raises:
        ConfigError: there has been no run, or the database of runs cannot be read.
    """
    history = open_history(config)
    return [outcome.read(history, run, nodes.NODES) for run in history.runs()]


def open_history(config: Config) -> History:
    """Opens the record of the runs of a pipeline on this machine.

    Raises:
        ConfigError: the output is remote, there has been no run, or the database cannot be read.
    """
    if is_remote(config.output):
        raise ConfigError(f"output: found {config.output}; allowed here: a local path")
    database = config.metadata_file
    if not Path(database).exists():
        left = [name for name in ("reports", "logs") if any(Path(config.output, name).glob("*"))]
        if left:
            raise ConfigError(
                f"{database} does not exist, but {config.output} has the {' and '.join(left)} of"
                " earlier runs; bring the file back, or retrain run begins a new record"
            )
        raise ConfigError(f"{database} does not exist: there has been no run yet; retrain run")
    return History(database, config.name)


def find(history: History, name: str | None) -> str:
    """Finds a run by the start of its id or a version that it pushed; for None, the last run.

    Raises:
        ConfigError: there is no such run, or more than one.
    """
    runs = history.runs()
    if not runs:
        raise ConfigError("there has been no run yet; retrain run")
    if name is None:
        return runs[-1]
    pushed = [run for run in runs if name.isdecimal() and pushed_version(history, run) == int(name)]
    found = pushed[:1] or [run for run in runs if run == name or run.startswith(name)]
    if len(found) != 1:
        raise ConfigError(
            f"{name}: {'no run or version' if not found else 'more than one run'} of that name;"
            f" the last runs are {', '.join(runs[-3:])}"
        )
    return found[0]


def pushed_version(history: History, run: str) -> int | None:
    """Returns the version that a run pushed; None if it pushed nothing."""
    artifact = history.output(run, nodes.PUSHER, "pushed_model")
    if artifact is None or not artifact.custom_properties[pusher.PUSHED_KEY].int_value:
        return None
    return int(artifact.custom_properties[pusher.VERSION_KEY].string_value)


def as_json(runs: Sequence[Outcome]) -> str:
    """Returns the one JSON object that `retrain runs --json` prints."""
    return json.dumps({"runs": [_plain(run) for run in runs]})


def show(runs: Sequence[Outcome], console: Console) -> None:
    """Prints a line for each run, and then the drift that the runs found."""
    table = Table(box=None, pad_edge=False)
    for heading in ("run", "span", "verdict", "version", "accuracy"):
        table.add_column(heading, justify="right" if heading in ("span", "accuracy") else "left")
    for run in runs:
        plain = _plain(run)
        accuracy = plain["accuracy"]
        verdict = " ".join([run.verdict, *run.reasons[:1]])
        table.add_row(
            run.run,
            _text(plain["span"]),
            escape(verdict),
            _text(run.version),
            "" if accuracy is None else f"{accuracy:.4f}",
        )
    console.print(table, highlight=False)
    for run in runs:
        if run.drift is not None and run.drift.changes:
            heading = f"{run.run}: drift from span {run.drift.previous} to span {run.drift.span}"
            console.print(heading, highlight=False, markup=False)
            for change in run.drift.changes:
                console.print(f"  {change.sentence()}", highlight=False, markup=False)


def _plain(run: Outcome) -> dict[str, object]:
    return {
        "run": run.run,
        "span": run.data.span if run.data else None,
        "verdict": run.verdict,
        "version": run.version,
        "accuracy": run.scorecard.metrics["accuracy"] if run.scorecard else None,
        "reasons": list(run.reasons),
        "drift": [change.sentence() for change in run.drift.changes] if run.drift else [],
    }


def _text(value: object) -> str:
    return "" if value is None else str(value)
