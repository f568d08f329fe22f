"""The options of SpanDrift, and what the DataGate does about drift."""

from typing import Literal

from pydantic import Field

from trainer.section import Section


class Drift(Section):
    """When a span differs from the one accepted before, and what then."""

    action: Literal["warn", "stop"] = "warn"
    """What drift does: warn says so in the summary, stop refuses the span."""
    max_divergence: float = Field(0.1, gt=0, le=1)
    """Jensen-Shannon divergence, from 0 to 1, of an image feature such as image/brightness above
    which it drifted."""
    max_label_distance: float = Field(0.1, gt=0, le=1)
    """Change of one class's share of train, from 0 to 1, above which the labels drifted."""
