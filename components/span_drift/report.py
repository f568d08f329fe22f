"""SpanDrift's report: a JSON file of the differences between two spans. Loads no TensorFlow."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass

import pydantic

FILE_NAME = "drift.json"


@dataclass(frozen=True)
class Change:
    """A feature whose distribution differs between the two spans.

    Attributes:
        feature: the feature's name.
        measure: "Jensen-Shannon divergence" or "L-infinity distance"; both in [0, 1].
        value: the measured value.
        threshold: highest value that is no drift.
        what: the statistic that illustrates the change: "mean", or "share of" the class whose
            share changed most.
        before: the statistic's value in the earlier span.
        after: the statistic's value in this span.
    """

    feature: str
    measure: str
    value: float
    threshold: float
    what: str
    before: float
    after: float

    def sentence(self) -> str:
        """Returns the change of the statistic and the measured value as one sentence."""
        return (
            f"{self.feature}: {self.what} {self.before:.4g} -> {self.after:.4g}"
            f" ({self.measure} {self.value:.3f}; allowed: {self.threshold:g})"
        )


@dataclass(frozen=True)
class DriftReport:
    """Comparison of a span with the last accepted span before it.

    Attributes:
        span: number of the span.
        previous: number of the accepted span before; None if there is none.
        changes: the features that drifted, the largest change first.
    """

    span: int
    previous: int | None
    changes: tuple[Change, ...] = ()

    def as_json(self) -> str:
        """Returns the report as JSON."""
        return json.dumps(dataclasses.asdict(self), indent=2, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> DriftReport:
        """Reads the JSON of `as_json`."""
        return _JSON.validate_json(text)


_JSON = pydantic.TypeAdapter(DriftReport)
