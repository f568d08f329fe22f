"""Measures how well familiarity tells unknown classes: `python -m benchmarks.familiarity`.

Of the classes of a folder, half are learnt and the others held out; five ways to halve the ten of
CIFAR-10 are averaged. AUROC is the share of pairs, one test image of a known class and one of
another, in which the known one is the more familiar.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.metrics import roc_auc_score

from benchmarks import embedded
from benchmarks.embedded import Split
from trainer.features import UNFAMILIAR_BELOW

_VAL_SHARE = 0.1
_HALVES = (
    (0, 1, 2, 3, 4),
    (5, 6, 7, 8, 9),
    (0, 2, 4, 6, 8),
    (1, 3, 5, 7, 9),
    (0, 1, 3, 5, 8),
)


def main() -> None:
    """Measures and prints the table."""
    parser = embedded.parser("familiarity", __doc__)
    parser.add_argument(
        "--each", type=int, nargs="+", default=[12, 50, 400], help="train images of a class"
    )
    options = parser.parse_args()
    splits = embedded.read(options)
    table = Table(box=None, pad_edge=False)
    for name in ("images a class", "distance", "AUROC", "known below 0.05", "others below 0.05"):
        table.add_column(name, justify="left" if name == "distance" else "right")
    for each in options.each:
        rows = [measure(splits, half, each) for half in _HALVES]
        for name in rows[0]:
            means = np.mean([row[name] for row in rows], axis=0)
            table.add_row(str(each), name, *(f"{mean:.3f}" for mean in means))
    Console().print(table)


def measure(
    splits: Mapping[str, Split], known: tuple[int, ...], each: int
) -> dict[str, tuple[float, ...]]:
    """Learns `each` images of each known class.

    Returns:
        By distance: AUROC, and the shares of known and of other test images that are unfamiliar;
        NaN where a distance has no threshold.
    """
    import tensorflow as tf

    from trainer import familiarity

    random = np.random.default_rng(0)
    train, test = splits["train"], splits["test"]
    order = [random.permutation(np.flatnonzero(train.labels == one)) for one in known]
    val = max(1, round(each * _VAL_SHARE / (1 - _VAL_SHARE)))
    rows = np.concatenate([one[:each] for one in order])
    others = np.concatenate([one[-val:] for one in order])
    found = familiarity.fit(train.embeddings[rows], train.labels[rows], train.embeddings[others])
    is_known = np.isin(test.labels, known)
    rates = found.rate(tf.constant(test.embeddings)).numpy()
    apart = found.space.distances(tf.constant(test.embeddings)).numpy()
    unfamiliar = rates < UNFAMILIAR_BELOW
    blank = (float("nan"), float("nan"))
    return {
        "relative Mahalanobis": (roc_auc_score(is_known, -apart[:, 0]), *blank),
        "residual": (roc_auc_score(is_known, -apart[:, 1]), *blank),
        "familiarity (both)": (
            roc_auc_score(is_known, rates),
            float(unfamiliar[is_known].mean()),
            float(unfamiliar[~is_known].mean()),
        ),
    }


if __name__ == "__main__":
    main()
