"""What differs between two spans, as a JSON file. This module loads no TensorFlow."""

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
        feature: its name.
        measure: "Jensen-Shannon divergence" or "L-infinity distance"; both in [0, 1].
        value: the measured value.
        threshold: the allowed value.
        what: the figure that shows the change: the mean, or the share of the class that changed
            most.
        before: the figure in the earlier span.
        after: the figure in this span.
    """

    feature: str
    measure: str
    value: float
    threshold: float
    what: str
    before: float
    after: float

    def sentence(self) -> str:
        """Says what changed, from what to what."""
        return (
            f"{self.feature}: {self.what} {self.before:.4g} -> {self.after:.4g}"
            f" ({self.measure} {self.value:.3f}; allowed: {self.threshold:g})"
        )


@dataclass(frozen=True)
class DriftReport:
    """How a span compares with the last accepted span before it.

    Attributes:
        span: number of the span.
        previous: number of the span before; None if there is none.
        changes: what drifted, the largest change first.
    """

    span: int
    previous: int | None
    changes: tuple[Change, ...] = ()

    def as_json(self) -> str:
        """Returns the report as JSON."""
        return json.dumps(dataclasses.asdict(self), indent=2, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> DriftReport:
        """Reads what `as_json` wrote."""
        return _JSON.validate_json(text)


_JSON = pydantic.TypeAdapter(DriftReport)
