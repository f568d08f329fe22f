"""The label of a record, stored in two features: one may be missing, but both must agree."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from components.image_example_gen import quarantine
from components.image_example_gen.quarantine import UNKNOWN_LABEL, QuarantineError
from trainer.features import LABEL, TEXT


def settle(example: tf.train.Example, labels: Sequence[str]) -> int:
    """Returns a record's class id, its index in `labels`, the class names.

    Raises:
        QuarantineError: there is no label, it is not in `labels` or of the wrong type, or the two
            features disagree.
    """
    features = example.features.feature
    number = _number(features[LABEL]) if LABEL in features else None
    name = _name(features[TEXT]) if TEXT in features else None
    if number is None and name is None:
        raise QuarantineError(quarantine.MISSING_LABEL, f"neither {LABEL} nor {TEXT} has a value")
    if number is not None and not 0 <= number < len(labels):
        raise QuarantineError(UNKNOWN_LABEL, f"{LABEL} is {number} of {len(labels)} classes")
    if name is not None and name not in labels:
        raise QuarantineError(UNKNOWN_LABEL, f"{TEXT} is {name[:80]!r}")
    by_name = labels.index(name) if name is not None else number
    if number is not None and by_name != number:
        raise QuarantineError(
            quarantine.DISAGREEING_LABELS,
            f"{LABEL} is {number}, {labels[number]!r}, but {TEXT} is {name!r}",
        )
    assert by_name is not None
    return by_name


def _number(feature: tf.train.Feature) -> int | None:
    values = _only(feature, "int64_list", f"{LABEL} is not one whole number")
    return int(values[0]) if values else None


def _name(feature: tf.train.Feature) -> str | None:
    values = _only(feature, "bytes_list", f"{TEXT} is not one text")
    # An empty text means no label, as in training.
    return values[0].decode("utf-8", "replace") or None if values else None


def _only(feature: tf.train.Feature, wanted: str, detail: str) -> Sequence[Any]:
    """Returns the only value of a feature in a sequence, which is empty if there is no value."""
    kind = feature.WhichOneof("kind")
    values: Sequence[Any] = getattr(feature, kind).value if kind else ()
    if values and (kind != wanted or len(values) != 1):
        raise QuarantineError(UNKNOWN_LABEL, detail)
    return values
