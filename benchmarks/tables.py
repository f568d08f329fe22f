"""The measurements, as tables for people and as JSON for programs."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

from rich.table import Table

from benchmarks.goals import GB, Goal, Side


def components_table(sides: Sequence[Side]) -> Table:
    """Returns a table of the seconds of each component, with a column for each side."""
    # The longest graph has the components of the others too, so its order is the table's.
    longest_first = sorted(sides, key=lambda side: len(side.components), reverse=True)
    ids = dict.fromkeys(id_ for side in longest_first for id_ in side.components)
    table = _table("Seconds by component", "component", [side.name for side in sides])
    for id_ in ids:
        cells = [side.components.get(id_) for side in sides]
        table.add_row(id_, *("" if cell is None else f"{cell:.1f}" for cell in cells))
    table.add_row("the rest", *(f"{side.rest:.1f}" for side in sides))
    return table


def totals_table(sides: Sequence[Side]) -> Table:
    """Returns a table of the total time, memory and written bytes of each side."""
    table = _table("In all", "", [side.name for side in sides])
    table.add_row("seconds, end to end", *(f"{side.seconds:.1f}" for side in sides))
    table.add_row("seconds of CPU", *(f"{side.cpu_seconds:.1f}" for side in sides))
    table.add_row("images/s, end to end", *(f"{side.images_per_second:.1f}" for side in sides))
    table.add_row("MB written", *(f"{side.written_bytes / 1e6:.1f}" for side in sides))
    table.add_row("peak memory, GB", *(f"{side.peak_bytes / GB:.2f}" for side in sides))
    return table


def goals_table(goals: Sequence[Goal]) -> Table:
    """Returns a table of the goals: measured number, bound and verdict of each."""
    table = _table("Goals", "", ["measured", "goal"])
    table.add_column("verdict")
    for goal in goals:
        measured = f"{goal.measured:.2f} {goal.unit}"
        bound = f"{'at least' if goal.at_least else 'at most'} {goal.bound:.2f} {goal.unit}"
        table.add_row(goal.name, measured, bound, goal.verdict)
    return table


def _table(title: str, first: str, columns: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column(first)
    for column in columns:
        table.add_column(column, justify="right")
    return table


def as_dict(
    sides: Sequence[Side], goals: Sequence[Goal], size: int, notes: Sequence[str]
) -> dict[str, Any]:
    """Returns the results and circumstances of the measurement as values that JSON can hold."""
    return {
        "image_size": size,
        "cores": os.cpu_count(),
        "load_average": os.getloadavg(),
        "sides": [_values(side, "rest", "images_per_second") for side in sides],
        "goals": [_values(goal, "missed_by", "verdict") for goal in goals],
        "notes": list(notes),
    }


def _values(measured: Side | Goal, *derived: str) -> dict[str, Any]:
    return {**dataclasses.asdict(measured), **{key: getattr(measured, key) for key in derived}}
