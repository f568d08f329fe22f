"""The scorecard: an evaluation's outcome as plain data, readable without TensorFlow."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import TypeAdapter

from components.evaluator.options import EachSlice

FILE_NAME = "scorecard.json"
EXAMPLE_COUNT = "example_count"
EVERYWHERE = "all"

Metrics = dict[str, float]


@dataclass(frozen=True)
class FailedThreshold:
    """A bound that the candidate does not meet.

    Attributes:
        metric: the metric's name.
        where: the slice as `feature=value`, or "all" for the whole split.
        value: the candidate's value; None where it has no such metric.
        bound: the value that it must reach.
        kind: "min" or "max" of the config; "regression" where `bound` is production's value less
            the allowed drop (or plus, for a metric where lower is better).
        production: production's value, for a regression.
    """

    metric: str
    where: str
    value: float | None
    bound: float
    kind: Literal["min", "max", "regression"]
    production: float | None = None

    def sentence(self) -> str:
        """Says which bound failed, where and by how much."""
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


def beyond(
    metric: str, where: str, value: float | None, low: float | None, high: float | None
) -> list[FailedThreshold]:
    """Compares a value with a lowest and a highest one that pass; None leaves a side open."""
    failed = []
    if low is not None and (value is None or value < low):
        failed.append(FailedThreshold(metric, where, value, low, "min"))
    if high is not None and (value is None or value > high):
        failed.append(FailedThreshold(metric, where, value, high, "max"))
    return failed


def failed_slices(
    slices: Mapping[str, Metrics], bounds: EachSlice | None
) -> tuple[FailedThreshold, ...]:
    """Compares each slice that has enough examples with the bounds."""
    if bounds is None:
        return ()
    return tuple(
        failed
        for where, metrics in sorted(slices.items())
        if metrics[EXAMPLE_COUNT] >= bounds.min_examples
        for metric, bound in bounds.limits().items()
        for failed in beyond(metric, where, metrics.get(metric), bound.min, bound.max)
    )


@dataclass(frozen=True)
class ClassScore:
    """Metrics of one class, one against the rest; None where the test split says nothing of it."""

    label: str
    examples: int
    precision: float | None
    recall: float | None
    f1: float | None
    auc: float | None


@dataclass(frozen=True)
class Scorecard:
    """How the candidate did.

    Attributes:
        blessed: whether it met every bound.
        failed: the bounds that it did not meet.
        metrics: metrics over the whole test split.
        production: the same of the model in production; None where there is none.
        classes: metrics by class, in label order.
        slices: metrics by slice, as `feature=value`.
        confusion: examples by true class (row) and predicted class, in label order.
    """

    blessed: bool
    failed: tuple[FailedThreshold, ...]
    metrics: Metrics
    production: Metrics | None
    classes: tuple[ClassScore, ...]
    slices: dict[str, Metrics]
    confusion: tuple[tuple[int, ...], ...]

    @property
    def sentences(self) -> tuple[str, ...]:
        """Says why the candidate is not blessed, a sentence for each failed threshold."""
        return tuple(failed.sentence() for failed in self.failed)

    def to_json(self) -> str:
        """Writes it as JSON."""
        return json.dumps(dataclasses.asdict(self), indent=1)

    @staticmethod
    def from_json(text: str) -> Scorecard:
        """Reads what `to_json` wrote, also before version 0.2, when `failed` was `misses`."""
        content = json.loads(text)
        return _SCORECARD.validate_python({"failed": content.get("misses"), **content})


_SCORECARD = TypeAdapter(Scorecard)
