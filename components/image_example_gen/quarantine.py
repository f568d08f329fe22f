"""The quarantine: reasons for rejecting a record, and the format in which it is stored."""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf

from components.image_example_gen import naming

# The folder of quarantined records, beside the splits.
FOLDER = "quarantine"

# The reasons for quarantine, as in reports.
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
    """A record must be quarantined; has one of the reasons above, and the finding in words."""

    def __init__(self, reason: str, detail: str) -> None:
        """Stores the reason, a constant of this module, and the detail, the finding in words."""
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True)
class Quarantined:
    """An unchanged record in quarantine; `number` is its number in `file`, from 0."""

    record: bytes
    reason: str
    detail: str
    file: str
    number: int

    @property
    def name(self) -> str:
        """The record's file name; its place in the span, if the record has none."""
        return naming.given(self.record) or naming.place(self.file, self.number)

    def serialized(self) -> bytes:
        """Returns a serialised tf.Example with all fields; the record may be any bytes."""
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
        """Reads the tf.Example of `serialized`."""
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
