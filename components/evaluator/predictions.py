"""The models' prediction for each test image: a small Parquet file beside TFMA's results."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow
import pyarrow.parquet
from tfx.dsl.io import fileio

FILE_NAME = "predictions.parquet"
_COLUMNS = ("prediction", "score", "truth_score", "rank")
_INTEGERS = ("prediction", "rank")
_PRODUCTION = "production_"
SCHEMA = pyarrow.schema(
    [
        ("digest", pyarrow.binary(16)),
        ("label", pyarrow.int32()),
        ("name", pyarrow.binary()),
        *(
            (f"{prefix}{name}", pyarrow.int32() if name in _INTEGERS else pyarrow.float32())
            for prefix in ("", _PRODUCTION)
            for name in _COLUMNS
        ),
    ]
)

# The file that the extractor writes; None if there is none. TFX creates extractors without telling
# them the output folder, and reloads their module each time, so the variable is in this module.
FILE: ContextVar[str | None] = ContextVar("predictions", default=None)

Ints = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Predicted:
    """One model's predictions for the test images; all arrays are [images].

    Attributes:
        prediction: int32, class id of the most probable class.
        score: float32, probability of the most probable class.
        truth_score: float32, probability of the true class.
        rank: int32, number of classes that are more probable than the true class; 0 if the
            prediction is right.
    """

    prediction: Ints
    score: Floats
    truth_score: Floats
    rank: Ints


@dataclass(frozen=True)
class Predictions:
    """Both models' predictions for the test images.

    Attributes:
        digests: fingerprint of each image; see `trainer.input.digest`.
        labels: int32 [images], true class ids.
        candidate: the candidate's predictions.
        production: predictions of the model in production; None if there is none.
        names: file name of each image, or its place in the span; none before version 0.3.
    """

    digests: tuple[bytes, ...]
    labels: Ints
    candidate: Predicted
    production: Predicted | None
    names: tuple[str, ...] = ()

    def name(self, row: int) -> str:
        """Returns the file name of an image; "" if names are not recorded."""
        return self.names[row] if self.names else ""


@contextlib.contextmanager
def kept_in(folder: str) -> Iterator[None]:
    """Evaluations that are set up in this context write their predictions into a folder."""
    token = FILE.set(os.path.join(folder, FILE_NAME))
    try:
        yield
    finally:
        FILE.reset(token)


def row(
    digest: bytes,
    label: int,
    candidate: npt.NDArray[np.float32],
    production: npt.NDArray[np.float32] | None,
    name: bytes = b"",
) -> dict[str, object]:
    """Returns an image's table row from the models' probabilities, each float32 [classes].

    `name` is the image's file name.
    """
    absent = {f"{_PRODUCTION}{name}": None for name in _COLUMNS}
    other = absent if production is None else _columns(production, label, _PRODUCTION)
    known = {"digest": digest, "label": label, "name": name}
    return {**known, **_columns(candidate, label), **other}


def _columns(
    probabilities: npt.NDArray[np.float32], label: int, prefix: str = ""
) -> dict[str, float]:
    prediction = int(probabilities.argmax())
    truth = float(probabilities[label])
    rank = int((probabilities > truth).sum())
    values = (prediction, float(probabilities[prediction]), truth, rank)
    return {f"{prefix}{name}": value for name, value in zip(_COLUMNS, values, strict=True)}


def read(folder: str) -> Predictions | None:
    """Reads the predictions from an evaluation's folder; None if it holds none.

    They are sorted by digest, because Beam writes them in no fixed order.
    """
    path = os.path.join(folder, FILE_NAME)
    if not fileio.exists(path):
        return None
    with fileio.open(path, "rb") as file:
        table = pyarrow.parquet.read_table(pyarrow.BufferReader(file.read()))
    # Runs before version 0.2 call the prediction a guess.
    names = [name.replace("guess", "prediction") for name in table.column_names]
    table = table.rename_columns(names).sort_by("digest")

    def predicted(prefix: str) -> Predicted:
        return Predicted(*(table[f"{prefix}{name}"].to_numpy() for name in _COLUMNS))

    named = table["name"].to_pylist() if "name" in table.column_names else ()
    known = table.num_rows > 0 and table[f"{_PRODUCTION}prediction"].null_count == 0
    return Predictions(
        digests=tuple(table["digest"].to_pylist()),
        labels=table["label"].to_numpy(),
        candidate=predicted(""),
        production=predicted(_PRODUCTION) if known else None,
        names=tuple((name or b"").decode("utf-8", "replace") for name in named),
    )
