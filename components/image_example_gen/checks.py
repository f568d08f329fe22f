"""What a record must be like to come in, and why it may not."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

# Reasons for quarantine; they stand in reports, so they are names and not sentences.
NO_EXAMPLE = "no-example"
NO_IMAGE = "no-image"
MISSING_LABEL = "missing-label"
UNKNOWN_LABEL = "unknown-label"
DISAGREEING_LABELS = "disagreeing-labels"
TOO_LARGE = "too-large"
TOO_SMALL = "too-small"
WRONG_CHANNELS = "wrong-channels"
TRUNCATED = "truncated"
UNDECODABLE = "undecodable"
NEAR_CONSTANT = "near-constant"
LEAKED = "leaked"

REASONS = (
    NO_EXAMPLE,
    NO_IMAGE,
    MISSING_LABEL,
    UNKNOWN_LABEL,
    DISAGREEING_LABELS,
    TOO_LARGE,
    TOO_SMALL,
    WRONG_CHANNELS,
    TRUNCATED,
    UNDECODABLE,
    NEAR_CONSTANT,
    LEAKED,
)

Leaks = Literal["none", "exact", "near"]


class RefusedError(ValueError):
    """A record cannot come in.

    Attributes:
        reason: one of `REASONS`.
        detail: what was found, in words.
    """

    def __init__(self, reason: str, detail: str) -> None:
        """Keeps reason and detail."""
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True)
class Checks:
    """All that decides where a record goes; it travels as the component's `custom_config`.

    Attributes:
        labels: class names; the index in this list is the class id.
        min_side: shortest side in pixels that comes in.
        max_pixels: most pixels that are decoded; more are refused by the header alone.
        channels: numbers of channels that an encoded image may have: 1 grey, 2 grey and alpha,
            3 colour, 4 colour and alpha, or CMYK.
        min_contrast: lowest standard deviation of the luma in [0, 1]; below, an image is
            near-constant.
        similarity: cosine from which two sketches are near duplicates; see `similarity`.
        remove_leaked: which copies of a val or test image are taken out of train.
        group: feature whose value decides the split where the data has none; None for the image.
    """

    labels: tuple[str, ...]
    min_side: int = 8
    max_pixels: int = 100_000_000
    channels: tuple[int, ...] = (1, 2, 3, 4)
    min_contrast: float = 0.005
    similarity: float = 0.98
    remove_leaked: Leaks = "near"
    group: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Returns the fields as JSON can hold them."""
        fields = dataclasses.asdict(self)
        return {**fields, "labels": list(self.labels), "channels": list(self.channels)}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Checks:
        """Reverses `as_dict`, also after a way through a protobuf Struct, which knows no int."""
        return cls(
            labels=tuple(fields["labels"]),
            min_side=int(fields["min_side"]),
            max_pixels=int(fields["max_pixels"]),
            channels=tuple(int(channel) for channel in fields["channels"]),
            min_contrast=float(fields["min_contrast"]),
            similarity=float(fields["similarity"]),
            remove_leaked=fields["remove_leaked"],
            group=fields["group"],
        )
