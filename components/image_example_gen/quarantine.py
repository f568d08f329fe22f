"""Records in quarantine: kept whole, with what is wrong with them."""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf


@dataclass(frozen=True)
class Quarantined:
    """A record in quarantine.

    Attributes:
        record: its bytes, as they came.
        reason: one of `checks.REASONS`.
        detail: what was found, in words.
        file: the file that held it.
        number: its place in that file, from 0.
    """

    record: bytes
    reason: str
    detail: str
    file: str
    number: int

    def serialized(self) -> bytes:
        """Returns a tf.Example that wraps the record, as the record itself may be anything."""
        features = tf.train.Features(
            feature={
                "quarantine/record": _bytes(self.record),
                "quarantine/reason": _bytes(self.reason.encode()),
                "quarantine/detail": _bytes(self.detail.encode("utf-8", "replace")),
                "quarantine/file": _bytes(self.file.encode("utf-8", "surrogateescape")),
                "quarantine/number": tf.train.Feature(
                    int64_list=tf.train.Int64List(value=[self.number])
                ),
            }
        )
        serialized: bytes = tf.train.Example(features=features).SerializeToString()
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
