"""What a served answer must be; pure functions that end in sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Bounds:
    """What the server must keep to.

    Attributes:
        images: how many images of the test split are sent.
        tolerance: how far a probability may be from the Evaluator's.
        p50_ms: median time of an answer to one image over REST, in milliseconds; None: any.
        p99_ms: 99th percentile of that time; None: any.
        memory_mb: peak memory of the server process in MiB; None: any.
        load_seconds: time from start to AVAILABLE.
    """

    images: int
    tolerance: float
    p50_ms: float | None
    p99_ms: float | None
    memory_mb: float | None
    load_seconds: float


@dataclass(frozen=True)
class Answers:
    """What came back for all images: probabilities [images, classes], and label and score each."""

    way: str
    probabilities: Floats
    labels: tuple[str, ...]
    scores: Floats


@dataclass(frozen=True)
class Measured:
    """What the server took: milliseconds for each request of one image, and peak MiB."""

    milliseconds: tuple[float, ...]
    memory_mb: float

    def percentile(self, percent: float) -> float:
        """Returns the milliseconds that this share of requests did not exceed."""
        return float(np.percentile(self.milliseconds, percent))


def wrong_answers(
    answers: Answers, expected: Floats, labels: Sequence[str], tolerance: float
) -> list[str]:
    """Compares answers with what the Evaluator saw.

    Args:
        answers: of one way to ask.
        expected: probabilities [images, classes] by the evaluation signature.
        labels: class names; the index in this list is the class id.
        tolerance: largest difference that passes.

    Returns:
        A sentence for each kind of mistake; none where all is right.
    """
    found = answers.probabilities
    if found.shape != expected.shape:
        return [
            f"{answers.way}: probabilities have shape {list(found.shape)}, not"
            f" {list(expected.shape)}"
        ]
    sentences = []
    # Where one of them is NaN, the difference is, and no comparison with it is true.
    off = ~(np.abs(found - expected).max(axis=1) <= tolerance)
    if off.any():
        largest = np.abs(found - expected).max()
        sentences.append(
            f"{answers.way}: probabilities of {off.sum()} of {len(off)} images are not the"
            f" Evaluator's: the largest difference is {largest:.2g}, {tolerance:.2g} is allowed"
        )
    best = found.argmax(axis=1)
    named = [(given, labels[index]) for given, index in zip(answers.labels, best, strict=True)]
    wrong = [pair for pair in named if pair[0] != pair[1]]
    if wrong:
        sentences.append(
            f"{answers.way}: {len(wrong)} of {len(named)} labels are wrong: the first is"
            f" {wrong[0][0]!r} where the label list has {wrong[0][1]!r}"
        )
    if not np.allclose(answers.scores, found.max(axis=1), rtol=0, atol=1e-6):
        sentences.append(f"{answers.way}: a score is not the largest probability")
    return sentences


def exceeded(measured: Measured, bounds: Bounds) -> list[str]:
    """Says which bounds of latency and memory the server did not keep to."""
    values = (
        ("median latency", measured.percentile(50), bounds.p50_ms, "ms"),
        ("99th percentile of latency", measured.percentile(99), bounds.p99_ms, "ms"),
        ("peak memory", measured.memory_mb, bounds.memory_mb, "MiB"),
    )
    return [
        f"{name} of the server is {value:.0f} {unit}, above the bound of {bound:g} {unit}"
        for name, value, bound, unit in values
        if bound is not None and value > bound
    ]
