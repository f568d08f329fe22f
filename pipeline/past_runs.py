"""The runs that were, a line each: `retrain runs`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from pipeline import build, outcome
from pipeline.config import Config, ConfigError
from pipeline.history import History
from pipeline.outcome import Outcome

# All nodes that a graph of `build.create_pipeline` may have; a run is over when the last one is.
_NODES = (
    "example-gen",
    "production-model",
    "schema-gen",
    "statistics-gen",
    "example-validator",
    "span-drift",
    "data-gate",
    "transform",
    "tuner",
    "trainer",
    "evaluator",
    "serving-validator",
    "edge-gate",
    "pusher",
)


def read(config: Config) -> list[Outcome]:
    """Reads how the runs of a pipeline on this machine ended, oldest first.

    Raises:
        ConfigError: there has been no run, or its database cannot be read.
    """
    database = build.metadata_file(config)
    if not Path(database).exists():
        raise ConfigError(f"{database} does not exist: there has been no run yet; retrain run")
    history = History(database, config.name)
    return [outcome.read(history, run, _NODES) for run in history.runs()]


def as_json(runs: Sequence[Outcome]) -> str:
    """Returns the one JSON object that `retrain runs --json` prints."""
    return json.dumps({"runs": [_plain(run) for run in runs]})


def show(runs: Sequence[Outcome], console: Console) -> None:
    """Prints a line for each run, and below it what drifted."""
    table = Table(box=None, pad_edge=False)
    for heading in ("run", "span", "verdict", "version", "accuracy"):
        table.add_column(heading, justify="right" if heading in ("span", "accuracy") else "left")
    for run in runs:
        plain = _plain(run)
        accuracy = plain["accuracy"]
        verdict = " ".join([run.verdict, *run.reasons[:1]]) if not run.scorecard else run.verdict
        table.add_row(
            run.run,
            _text(plain["span"]),
            verdict,
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
