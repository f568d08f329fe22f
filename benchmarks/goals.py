"""The measurements of each side, and the goals for them: plain data and arithmetic."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

GB = 1e9


@dataclass(frozen=True)
class Side:
    """One side of the comparison; `launch.Measured` explains the fields that both classes have."""

    name: str
    images: int  # how many it processed
    seconds: float
    cpu_seconds: float
    peak_bytes: int
    written_bytes: int  # size of its artifacts; 0 if it writes none
    components: Mapping[str, float]  # seconds of each, in the order of its graph

    @property
    def rest(self) -> float:
        """Seconds outside of components: start-up, mostly."""
        return self.seconds - sum(self.components.values())

    @property
    def images_per_second(self) -> float:
        """Rate over the whole, start-up included."""
        return self.images / self.seconds


@dataclass(frozen=True)
class Goal:
    """A measured number and the bound that it should keep."""

    name: str
    measured: float
    bound: float
    at_least: bool  # whether it should be at least the bound; at most, otherwise
    unit: str  # of both numbers

    @property
    def missed_by(self) -> float:
        """Distance between the measured number and the bound; 0 if the goal is met."""
        difference = self.bound - self.measured
        return max(0.0, difference if self.at_least else -difference)

    @property
    def verdict(self) -> str:
        """Text that says whether the goal is met, or by how much it is missed."""
        if not self.missed_by:
            return "goal met"
        return f"missed by {self.missed_by:.2f} {self.unit}"


def judge(plain: Side, ours: Side, loop: Side) -> tuple[Goal, ...]:
    """Returns the goals of our pipeline, measured against the plain one and the bare loop."""
    faster, fewer = plain.seconds / ours.seconds, plain.written_bytes / ours.written_bytes
    transform, floor = ours.components["transform"], loop.components["loop"]
    against = "our Transform, against 1.1 x the loop + 15 s"
    return (
        Goal("end to end, plain / ours", faster, 4, True, "x"),
        Goal("bytes written, plain / ours", fewer, 30, True, "x"),
        Goal("peak memory of ours", ours.peak_bytes / GB, 3, False, "GB"),
        Goal(against, transform, 1.1 * floor + 15, False, "s"),
    )
