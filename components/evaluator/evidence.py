"""How much the test images show: intervals of shares, and classes that were hardly tested.

The module loads no heavy library, because the command line reads scorecards.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from components.image_example_gen.label_forms import listed

Strength = Literal["weak", "fair", "strong"]

# Half-widths of the interval of the accuracy, up to which evidence is strong, or else fair.
_STRONG = 0.025
_FAIR = 0.075
_Z = 1.959963984540054  # of a normal distribution, 95 % lie within so many deviations
_NEAR = 1e-9


@dataclass(frozen=True)
class Interval:
    """A 95 % confidence interval."""

    low: float
    high: float


def share(hits: int, images: int) -> Interval:
    """Returns Wilson's 95 % confidence interval of the share hits / images.

    Without images nothing is known, and the interval is [0, 1]. Wilson, "Probable inference, the
    law of succession, and statistical inference", 1927.
    """
    from scipy.stats import binomtest  # slow to load

    if not images:
        return Interval(0.0, 1.0)
    found = binomtest(hits, images).proportion_ci(method="wilson")
    return Interval(float(found.low), float(found.high))


def share_difference(both: int, first: int, second: int, neither: int) -> Interval:
    """Returns the 95 % confidence interval of the difference of two shares of the same images.

    It holds the differences that a score test does not reject. Tango, "Equivalence test and
    confidence interval for the difference in proportions for the paired-sample design", 1998.

    Args:
        both: number of images that both models hit; at least one of the four is not 0.
        first: number that only the first model hits.
        second: number that only the second model hits.
        neither: number that neither hits.
    """
    from scipy.optimize import brentq  # slow to load

    images = both + first + second + neither
    found = (first - second) / images

    def excess(difference: float) -> float:
        """Returns how far the score test is from its bound; negative inside the interval."""
        b = (2 * images - first + second) * difference - first - second
        c = second * difference * (1 - difference)
        # The likeliest share of `second`, if this is the difference.
        share = (math.sqrt(max(0.0, b * b + 8 * images * c)) - b) / (4 * images)
        variance = images * (2 * share + difference * (1 - difference))
        return float((first - second - images * difference) ** 2 - _Z**2 * variance)

    # The excess is 0 at -1 and 1 where the variance is, which is no bound of the interval.
    inside = (max(-1.0, found - _NEAR), min(1.0, found + _NEAR))
    return Interval(
        brentq(excess, -1.0, inside[0]) if excess(inside[0]) < 0 else -1.0,
        brentq(excess, inside[1], 1.0) if excess(inside[1]) < 0 else 1.0,
    )


def strength(accuracy: Interval) -> Strength:
    """Names the strength of the evidence, by the half-width of the interval of the accuracy."""
    half = (accuracy.high - accuracy.low) / 2
    if half <= _STRONG:
        return "strong"
    return "fair" if half <= _FAIR else "weak"


@dataclass(frozen=True)
class FewImages:
    """A class with too few test images, and their number."""

    label: str
    images: int


@dataclass(frozen=True)
class Evidence:
    """How much the test split shows.

    Attributes:
        images: number of test images.
        accuracy: Wilson's 95 % confidence interval of the accuracy.
        strength: "weak", "fair" or "strong"; see `strength`.
        classes: number of classes.
        needed: number of test images that a class needs to count as tested; 0 if all count.
        untested: the classes with fewer test images, in label order.
        averaged: metric -> number of classes over which it is a mean, as in the others it is not
            defined.
    """

    images: int
    accuracy: Interval
    strength: Strength
    classes: int
    needed: int = 0
    untested: tuple[FewImages, ...] = ()
    averaged: dict[str, int] = field(default_factory=dict)

    def words(self) -> str:
        """Returns the interval and the strength, such as "75.8 to 100.0 %, weak evidence"."""
        text = f"{100 * self.accuracy.low:.1f} to {100 * self.accuracy.high:.1f} %"
        return f"{text}, {self.strength} evidence"

    def warning(self) -> str:
        """Returns a clause on the classes that were hardly tested; "" if there are none."""
        if not self.untested:
            return ""
        return (
            f"{_of(len(self.untested), self.classes)} fewer than {_counted(self.needed)}:"
            f" {listed([f'{few.label} ({few.images})' for few in self.untested])}"
        )

    def means(self, metric: str) -> str:
        """Returns over how many classes a metric is a mean; "" if over all, or if it is none."""
        over = self.averaged.get(metric, self.classes)
        return "" if over == self.classes else f"over {over} of {self.classes} classes"


def _of(some: int, all_: int) -> str:
    return f"{some} of {all_} classes {'has' if some == 1 else 'have'}"


def _counted(images: int) -> str:
    return f"{images} test image{'' if images == 1 else 's'}"
