"""What differs between two spans: a JSON file, read without TensorFlow."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any

FILE_NAME = "drift.json"


@dataclass(frozen=True)
class Change:
    """A feature whose values are spread differently in the two spans.

    Attributes:
        feature: its name.
        measure: "Jensen-Shannon divergence" or "L-infinity distance"; both in [0, 1].
        value: what was measured.
        threshold: what is allowed.
        what: what stands for the feature: its mean, or the share of the class that moved furthest.
        before: that in the earlier span.
        after: that in this span.
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
    """How a span compares with the one before that was accepted.

    Attributes:
        span: its number.
        previous: the number of the one before; None if there is none.
        changes: what drifted, the furthest first.
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
        fields: dict[str, Any] = json.loads(text)
        changes = tuple(Change(**change) for change in fields.pop("changes"))
        return cls(changes=changes, **fields)
