"""SpanDrift's report: a JSON file of the differences between two spans. Loads no TensorFlow."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass

import pydantic

FILE_NAME = "drift.json"
# In place of a feature's name: what the images look like.
LOOKS = "looks"
# Fewer images on either side are too few for any claim.
LEAST_IMAGES = 20
_LEAST_P = 1e-4


@dataclass(frozen=True)
class Change:
    """A feature whose distribution differs between the two spans.

    Attributes:
        feature: the feature's name.
        measure: "Jensen-Shannon divergence", "L-infinity distance" or "share told apart"; all in
            [0, 1].
        value: the measured value.
        threshold: lowest value that is drift.
        what: the statistic that illustrates the change: "mean", or "share of" the class whose
            share changed most.
        before: the statistic's value in the earlier span.
        after: the statistic's value in this span.
        p: the chance that two spans alike differ so much in anything; None in reports of old.
        images: the number of compared images of the earlier and of this span; None likewise.
    """

    feature: str
    measure: str
    value: float
    threshold: float
    what: str
    before: float
    after: float
    p: float | None = None
    images: tuple[int, int] | None = None

    def sentence(self) -> str:
        """Returns what changed, by how much, and how sure that is, as one sentence."""
        if self.feature == LOOKS:
            told = (
                f"{LOOKS}: the images look different: the newer of a pair is told in"
                f" {self.value:.0%} of pairs, by guessing in 50% (drift from: {self.threshold:.0%}"
            )
        else:
            told = (
                f"{self.feature}: {self.what} {self.before:.4g} -> {self.after:.4g}"
                f" ({self.measure} {self.value:.3f}; drift from: {self.threshold:g}"
            )
        if self.p is not None and self.images is not None:
            chance = f"p {self.p:.2g}" if self.p >= _LEAST_P else f"p below {_LEAST_P:g}"
            told += f"; {chance}, {self.images[0]} and {self.images[1]} images"
        return f"{told})"


@dataclass(frozen=True)
class DriftReport:
    """Comparison of a span with the last accepted span before it.

    Attributes:
        span: number of the span.
        previous: number of the accepted span before; None if there is none.
        changes: the features that drifted, the largest change first.
        images: the number of compared images of the earlier and of this span; None if there is no
            earlier span, and in reports of old.
        tests: how many features were tested; 0 if the images were too few.
        significance: the chance of any change being found between two spans alike.
    """

    span: int
    previous: int | None
    changes: tuple[Change, ...] = ()
    images: tuple[int, int] | None = None
    tests: int = 0
    significance: float | None = None

    def sentence(self) -> str:
        """Returns what the comparison came to; "" without an earlier span, and for reports of old.

        The changes have sentences of their own.
        """
        if self.previous is None or self.images is None:
            return ""
        sizes = f"{self.images[0]} and {self.images[1]} images"
        if not self.tests:
            return (
                f"Drift from span {self.previous}: too few images to tell: {sizes};"
                f" {LEAST_IMAGES} each are needed"
            )
        return (
            f"Drift from span {self.previous}: {len(self.changes) or 'none'} found in {self.tests}"
            f" tests on {sizes} of train"
        )

    def as_json(self) -> str:
        """Returns the report as JSON."""
        return json.dumps(dataclasses.asdict(self), indent=2, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> DriftReport:
        """Reads the JSON of `as_json`."""
        return _JSON.validate_json(text)


_JSON = pydantic.TypeAdapter(DriftReport)
