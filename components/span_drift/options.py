"""The options of SpanDrift, and what the DataGate does about drift."""

from typing import Literal

from pydantic import Field

from trainer.section import Section


class Drift(Section):
    """When a span differs from the one accepted before, and what then."""

    action: Literal["warn", "stop"] = "warn"
    """What drift does: warn says so in the summary, stop refuses the span."""
    significance: float = Field(0.01, ge=0.001, le=0.2)
    """How often chance alone may pass for drift: the share of spans like the one before in which
    anything is found. A change must also reach one of the sizes below."""
    max_divergence: float = Field(0.1, gt=0, le=1)
    """Jensen-Shannon divergence, from 0 to 1, of an image feature such as image/brightness from
    which on a significant change is drift."""
    max_label_distance: float = Field(0.1, gt=0, le=1)
    """Change of one class's share of train, from 0 to 1, from which on a significant change is
    drift."""
    min_told_apart: float = Field(0.6, gt=0.5, le=1)
    """How well looks tell the spans apart: of all pairs of an image of each span, the share in
    which the newer image is recognised. Guessing gets 0.5. From this share on, a significant change
    is drift."""
