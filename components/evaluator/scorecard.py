"""The scorecard: an evaluation's outcome as plain data, readable without TensorFlow."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import TypeAdapter

from components.evaluator.evidence import Evidence
from components.evaluator.options import EachSlice

FILE_NAME = "scorecard.json"
EXAMPLE_COUNT = "example_count"
EVERYWHERE = "all"

# Metric -> value; None if it is not defined.
Metrics = dict[str, float | None]


@dataclass(frozen=True)
class FailedThreshold:
    """A bound that the candidate does not meet.

    Attributes:
        metric: the metric's name.
        where: the slice as `feature=value`, or "all" for the whole test split.
        value: the candidate's value; None if the metric is missing or undefined there.
        bound: lowest value that passes, or the highest one for an upper limit.
        kind: "min" or "max" of the config; "regression" if `bound` is production's value minus
            the allowed drop (or plus it, for a metric where lower is better); "untested",
            "majority" or "missed" for the bounds of `gate`.
        production: production's value for a regression, else None.
        words: the whole sentence, where metric and bound alone do not say it.
    """

    metric: str
    where: str
    value: float | None
    bound: float
    kind: Literal["min", "max", "regression", "untested", "majority", "missed"]
    production: float | None = None
    words: str = ""

    def sentence(self) -> str:
        """Returns which bound failed, on which slice and by how much, as a sentence."""
        if self.words:
            return self.words
        if self.value is None:
            return (
                f"{self.metric} on {self.where}: there is no value; it must pass {self.bound:.4f}"
            )
        side = "below" if self.value < self.bound else "above"
        text = (
            f"{self.metric} on {self.where}: {self.value:.4f} is {abs(self.value - self.bound):.4f}"
            f" {side} the bound of {self.bound:.4f}"
        )
        if self.production is not None:
            text += f" (production has {self.production:.4f})"
        return text


def examples(metrics: Mapping[str, float | None]) -> int:
    """Returns how many examples metrics are of."""
    return round(metrics.get(EXAMPLE_COUNT) or 0)


def beyond(
    metric: str, where: str, value: float | None, low: float | None, high: float | None
) -> list[FailedThreshold]:
    """Returns the bounds that a value fails; None is no bound, and a value of None fails any."""
    failed = []
    if low is not None and (value is None or value < low):
        failed.append(FailedThreshold(metric, where, value, low, "min"))
    if high is not None and (value is None or value > high):
        failed.append(FailedThreshold(metric, where, value, high, "max"))
    return failed


def failed_slices(
    slices: Mapping[str, Metrics], bounds: EachSlice | None
) -> tuple[FailedThreshold, ...]:
    """Returns the failed bounds of all slices with enough examples; none if `bounds` is None."""
    if bounds is None:
        return ()
    return tuple(
        failed
        for where, metrics in sorted(slices.items())
        if examples(metrics) >= bounds.min_examples
        for metric, bound in bounds.limits().items()
        for failed in beyond(metric, where, metrics.get(metric), bound.min, bound.max)
    )


@dataclass(frozen=True)
class ClassScore:
    """One-vs-rest metrics of a class; None if undefined, as for a class without test images."""

    label: str
    examples: int
    precision: float | None
    recall: float | None
    f1: float | None
    auc: float | None


@dataclass(frozen=True)
class Scorecard:
    """The candidate's results in the Evaluator.

    Attributes:
        blessed: whether the candidate met every bound.
        failed: the bounds that the candidate did not meet.
        metrics: metrics over the whole test split.
        production: the same metrics of the model in production; None if there is none.
        classes: metrics by class, in label order.
        slices: slice as `feature=value` -> metrics.
        confusion: examples by true class (row) and predicted class, in label order.
        evidence: how much the test split shows; None before version 0.3.
    """

    blessed: bool
    failed: tuple[FailedThreshold, ...]
    metrics: Metrics
    production: Metrics | None
    classes: tuple[ClassScore, ...]
    slices: dict[str, Metrics]
    confusion: tuple[tuple[int, ...], ...]
    evidence: Evidence | None = None

    @property
    def sentences(self) -> tuple[str, ...]:
        """Returns why the candidate is not blessed, a sentence for each failed threshold."""
        return tuple(failed.sentence() for failed in self.failed)

    def to_json(self) -> str:
        """Returns the scorecard as JSON."""
        return json.dumps(dataclasses.asdict(self), indent=1)

    @staticmethod
    def from_json(text: str) -> Scorecard:
        """Reads `to_json`'s text; before version 0.2, the field `failed` was named `misses`."""
        content = json.loads(text)
        return _SCORECARD.validate_python({"failed": content.get("misses"), **content})


_SCORECARD = TypeAdapter(Scorecard)
