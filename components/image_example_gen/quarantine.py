"""The quarantine: why a record does not come in, and how it is kept whole."""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf

# The folder beside the splits.
FOLDER = "quarantine"

# Reports name these reasons.
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


class QuarantineError(ValueError):
    """A record belongs in quarantine: for one of the reasons above, with the finding in words."""

    def __init__(self, reason: str, detail: str) -> None:
        """Keeps reason and detail."""
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True)
class Quarantined:
    """A record in quarantine, unchanged: why, which file held it, and its number there, from 0."""

    record: bytes
    reason: str
    detail: str
    file: str
    number: int

    def serialized(self) -> bytes:
        """Wraps the record, which may be any bytes, in a serialised tf.Example."""
        features = tf.train.Features(
            feature={
                "quarantine/record": _bytes(self.record),
                "quarantine/reason": _bytes(self.reason.encode()),
                "quarantine/detail": _bytes(self.detail.encode("utf-8", "replace")),
                "quarantine/file": _bytes(self.file.encode("utf-8", "surrogateescape")),
            }
        )
        example = tf.train.Example(features=features)
        example.features.feature["quarantine/number"].int64_list.value.append(self.number)
        serialized: bytes = example.SerializeToString()
        return serialized

    @classmethod
    def parse(cls, serialized: bytes) -> Quarantined:
        """Reverses `serialized`."""
        features = tf.train.Example.FromString(serialized).features.feature

        def text(name: str) -> str:
            value: bytes = features[f"quarantine/{name}"].bytes_list.value[0]
            return value.decode("utf-8", "surrogateescape")

        return cls(
            record=features["quarantine/record"].bytes_list.value[0],
            reason=text("reason"),
            detail=text("detail"),
            file=text("file"),
            number=features["quarantine/number"].int64_list.value[0],
        )


def _bytes(value: bytes) -> tf.train.Feature:
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
