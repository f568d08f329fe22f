"""Checks a server's answers, latency and memory; returns a sentence for each failed check."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from components.serving_validator.options import Serving

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Answers:
    """The answers to all images by one protocol and signature, `way`, as "REST serving_default"."""

    way: str
    probabilities: Floats  # [images, classes]
    labels: tuple[str, ...]
    scores: Floats


@dataclass(frozen=True)
class Measured:
    """The milliseconds of each request of one image, and the server's peak memory in MiB."""

    milliseconds: Sequence[float] | Floats
    memory_mb: float

    def percentile(self, percent: float) -> float:
        """Returns the time within which `percent` % of the requests were answered, in ms."""
        return float(np.percentile(self.milliseconds, percent))


def wrong_answers(
    answers: Answers, expected: Floats, labels: Sequence[str], tolerance: float
) -> list[str]:
    """Compares answers with the probabilities that the Evaluator evaluated.

    Args:
        answers: answers by one protocol and signature.
        expected: probabilities [images, classes] from the evaluation signature.
        labels: class names; the index in this list is the class id.
        tolerance: largest allowed difference of a probability.

    Returns:
        A sentence for each kind of mistake.
    """
    found = answers.probabilities
    if found.shape != expected.shape:
        return [
            f"{answers.way}: probabilities have shape {list(found.shape)}, not"
            f" {list(expected.shape)}"
        ]
    sentences = []
    # A NaN makes the difference NaN, and no comparison with NaN is true.
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


def exceeded(measured: Measured, bounds: Serving) -> list[str]:
    """Returns a sentence for each bound of latency or memory that the server exceeded."""
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
