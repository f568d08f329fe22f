"""What a model said of images, for a person and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from serving.client import Prediction


def as_json(predictions: Sequence[Prediction], source: str, version: int | None) -> str:
    """Returns the one JSON object that `retrain predict --json` prints.

    Args:
        predictions: one for each image.
        source: the server's URL, or the model store.
        version: of the model, where it is known.
    """
    return json.dumps(
        {
            "model": {"source": source, "version": version},
            "predictions": [
                {
                    "image": one.image,
                    "label": one.label,
                    "score": one.score,
                    "probabilities": list(one.probabilities),
                }
                for one in predictions
                if one.error is None
            ],
            "errors": [
                {"image": one.image, "error": one.error} for one in predictions if one.error
            ],
        }
    )


def show(predictions: Sequence[Prediction]) -> None:
    """Prints a table of labels and scores, and on standard error what could not be labelled."""
    table = Table(box=None, pad_edge=False)
    table.add_column("image", overflow="fold")
    table.add_column("label")
    table.add_column("score", justify="right")
    for one in predictions:
        if one.error is None:
            table.add_row(escape(one.image), escape(one.label), f"{one.score:.4f}")
    if table.row_count:
        Console().print(table)
    errors = Console(stderr=True)
    for one in predictions:
        if one.error is not None:
            errors.print(f"{one.image}: {one.error}", markup=False, highlight=False, soft_wrap=True)
