"""The scorecard: an evaluation's outcome as plain data, readable without TensorFlow."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

FILE_NAME = "scorecard.json"
EXAMPLE_COUNT = "example_count"
EVERYWHERE = "all"

# Limits by metric: the lowest and the highest value that passes, either of them open.
Bounds = Mapping[str, tuple[float | None, float | None]]
Metrics = dict[str, float]


@dataclass(frozen=True)
class SliceBounds:
    """What every slice must reach that has at least `min_examples` examples."""

    min_examples: int = 0
    bounds: Bounds = field(default_factory=dict)


@dataclass(frozen=True)
class Miss:
    """A bound that the candidate missed.

    Attributes:
        metric: the metric's name.
        where: the slice as `feature=value`, or "all" for the whole split.
        value: what the candidate reached; None where it has no such metric.
        bound: what it had to reach.
        kind: "min" or "max" of the config; "regression" where `bound` is production's value less
            the drop that is allowed (or plus, for a metric where lower is better).
        production: production's value, for a regression.
    """

    metric: str
    where: str
    value: float | None
    bound: float
    kind: Literal["min", "max", "regression"]
    production: float | None = None

    def sentence(self) -> str:
        """Says which bound was missed, where and by how much."""
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
        misses: the bounds that it missed.
        metrics: metrics over the whole test split.
        production: the same of the model in production; None where there is none.
        classes: metrics by class, in label order.
        slices: metrics by slice, as `feature=value`.
        confusion: examples by true class (row) and predicted class, in label order.
    """

    blessed: bool
    misses: tuple[Miss, ...]
    metrics: Metrics
    production: Metrics | None
    classes: tuple[ClassScore, ...]
    slices: dict[str, Metrics]
    confusion: tuple[tuple[int, ...], ...]

    def to_json(self) -> str:
        """Writes it as JSON."""
        return json.dumps(dataclasses.asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> Scorecard:
        """Reads what `to_json` wrote."""
        content = json.loads(text)
        return cls(
            blessed=content["blessed"],
            misses=tuple(Miss(**miss) for miss in content["misses"]),
            metrics=content["metrics"],
            production=content["production"],
            classes=tuple(ClassScore(**score) for score in content["classes"]),
            slices=content["slices"],
            confusion=tuple(tuple(row) for row in content["confusion"]),
        )


def slice_misses(slices: Mapping[str, Metrics], bounds: SliceBounds) -> list[Miss]:
    """Finds the slices with enough examples that miss a bound."""
    misses = []
    for where, metrics in sorted(slices.items()):
        if metrics[EXAMPLE_COUNT] < bounds.min_examples:
            continue
        for metric, (low, high) in bounds.bounds.items():
            value = metrics.get(metric)
            if low is not None and (value is None or value < low):
                misses.append(Miss(metric, where, value, low, "min"))
            if high is not None and (value is None or value > high):
                misses.append(Miss(metric, where, value, high, "max"))
    return misses


def read_evaluation(folder: str, labels: Sequence[str], bounds: SliceBounds) -> Scorecard:
    """Builds the scorecard of an evaluation that TFMA wrote.

    Args:
        folder: TFMA's output.
        labels: class names; the index in this list is the class id.
        bounds: what slices must reach.

    Returns:
        The scorecard; blessed only if TFMA's thresholds and the slice bounds are all met.
    """
    from components.evaluator import tfma_results  # TensorFlow: only who evaluates needs it

    results = tfma_results.read(folder, labels)
    misses = (*results.misses, *slice_misses(results.slices, bounds))
    return Scorecard(
        blessed=results.validation_ok and not misses,
        misses=misses,
        metrics=results.metrics,
        production=results.production,
        classes=results.classes,
        slices=results.slices,
        confusion=results.confusion,
    )
