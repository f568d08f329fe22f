"""Measures how many flipped labels are found: `python -m benchmarks.suspects`.

It flips 5 % of train's labels at random, to any other class, and searches train and test together,
as the pipeline does. What counts is the share of flipped labels among as many suspects of train,
the most suspect first, as there are flipped labels.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks import embedded
from benchmarks.embedded import Split

_SHARE = 0.05


def main() -> None:
    """Measures and prints the table."""
    parser = embedded.parser("suspects", __doc__)
    parser.add_argument("--draws", type=int, default=3, help="ways to flip labels (default: 3)")
    options = parser.parse_args()
    splits = embedded.read(options)
    table = Table(box=None, pad_edge=False)
    for name in (
        "draw",
        "flipped",
        "found among as many",
        "suspects",
        "of them flipped",
        "seconds",
    ):
        table.add_column(name, justify="right")
    for draw in range(options.draws):
        table.add_row(str(draw), *measure(splits, draw))
    Console().print(table)


def measure(splits: Mapping[str, Split], draw: int) -> tuple[str, ...]:
    """Flips labels by a seed and searches; returns the cells of the table."""
    from components.suspects import search

    random = np.random.default_rng(draw)
    train, test = splits["train"], splits["test"]
    classes, rows = int(train.labels.max()) + 1, len(train.labels)
    flipped = random.choice(rows, round(_SHARE * rows), replace=False)
    given = train.labels.copy()
    given[flipped] = (given[flipped] + random.integers(1, classes, len(flipped))) % classes
    started = time.perf_counter()
    doubts = search.doubts(
        np.concatenate([train.embeddings, test.embeddings]), np.concatenate([given, test.labels])
    )
    seconds = time.perf_counter() - started
    found = [one.row for one in doubts if one.row < rows]
    among = len(set(found[: len(flipped)]) & set(flipped)) / len(flipped)
    whole = len(set(found) & set(flipped)) / len(flipped)
    return str(len(flipped)), f"{among:.3f}", str(len(found)), f"{whole:.3f}", f"{seconds:.1f}"


if __name__ == "__main__":
    main()
