"""What the models answered to each test image: a small Parquet file beside TFMA's results."""

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
_ANSWER = ("guess", "score", "truth_score", "rank")
_PRODUCTION = "production_"
SCHEMA = pyarrow.schema(
    [
        ("digest", pyarrow.binary(16)),
        ("label", pyarrow.int32()),
        *(
            (f"{prefix}{name}", pyarrow.int32() if name in ("guess", "rank") else pyarrow.float32())
            for prefix in ("", _PRODUCTION)
            for name in _ANSWER
        ),
    ]
)

# Where extractors that are made now write to. TFX's Evaluator makes them without telling where its
# output lies, and it loads their module anew each time, so the variable is not in that one.
FILE: ContextVar[str | None] = ContextVar("predictions", default=None)

Ints = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Answers:
    """What one model says of the images; all arrays are [images].

    Attributes:
        guess: class id of the most probable class.
        score: its probability.
        truth_score: the true class's probability.
        rank: how many classes are more probable than the true one; 0 where the guess is right.
    """

    guess: Ints
    score: Floats
    truth_score: Floats
    rank: Ints


@dataclass(frozen=True)
class Predictions:
    """What the models say of the test images.

    Attributes:
        digests: identity of each image; see `trainer.input.digest`.
        labels: int32 [images], true class ids.
        candidate: the candidate's answers.
        production: those of the model in production; None where there is none.
    """

    digests: tuple[bytes, ...]
    labels: Ints
    candidate: Answers
    production: Answers | None


@contextlib.contextmanager
def kept_in(folder: str) -> Iterator[None]:
    """Has evaluations that are set up within it keep their predictions in a folder."""
    token = FILE.set(os.path.join(folder, FILE_NAME))
    try:
        yield
    finally:
        FILE.reset(token)


def answer(
    probabilities: npt.NDArray[np.float32], label: int, prefix: str = ""
) -> dict[str, float]:
    """Returns the columns for one model's answer: float [classes] to four numbers."""
    guess = int(probabilities.argmax())
    truth = float(probabilities[label])
    values = (guess, float(probabilities[guess]), truth, int((probabilities > truth).sum()))
    return {f"{prefix}{name}": value for name, value in zip(_ANSWER, values, strict=True)}


def row(
    digest: bytes,
    label: int,
    candidate: npt.NDArray[np.float32],
    production: npt.NDArray[np.float32] | None,
) -> dict[str, object]:
    """Returns the row of an image; probabilities are float [classes]."""
    absent = {f"{_PRODUCTION}{name}": None for name in _ANSWER}
    other = absent if production is None else answer(production, label, _PRODUCTION)
    return {"digest": digest, "label": label, **answer(candidate, label), **other}


def read(folder: str) -> Predictions | None:
    """Reads an evaluation's predictions, sorted by digest; None if it has none.

    Beam's order changes from run to run, and what is drawn from them must not.
    """
    path = os.path.join(folder, FILE_NAME)
    if not fileio.exists(path):
        return None
    with fileio.open(path, "rb") as file:
        table = pyarrow.parquet.read_table(pyarrow.BufferReader(file.read()))
    table = table.sort_by("digest")

    def answers(prefix: str) -> Answers:
        return Answers(*(table[f"{prefix}{name}"].to_numpy() for name in _ANSWER))

    known = table.num_rows > 0 and table[f"{_PRODUCTION}guess"].null_count == 0
    return Predictions(
        digests=tuple(table["digest"].to_pylist()),
        labels=table["label"].to_numpy(),
        candidate=answers(""),
        production=answers(_PRODUCTION) if known else None,
    )
