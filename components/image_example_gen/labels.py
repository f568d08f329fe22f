"""The label of a record: two features that may each be missing and must agree."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from components.image_example_gen.checks import (
    DISAGREEING_LABELS,
    MISSING_LABEL,
    UNKNOWN_LABEL,
    RefusedError,
)
from trainer.features import LABEL, TEXT


def settle(example: tf.train.Example, labels: Sequence[str]) -> int:
    """Returns the class id that a record's label features give.

    Args:
        example: a record of the data contract.
        labels: class names; the index in this list is the class id.

    Raises:
        RefusedError: there is no label, it is not in the list or of another kind, or the two
            features name different classes.
    """
    features = example.features.feature
    number = _number(features[LABEL]) if LABEL in features else None
    name = _name(features[TEXT]) if TEXT in features else None
    if number is None and name is None:
        raise RefusedError(MISSING_LABEL, f"neither {LABEL} nor {TEXT} has a value")
    if number is not None and not 0 <= number < len(labels):
        raise RefusedError(UNKNOWN_LABEL, f"{LABEL} is {number} of {len(labels)} classes")
    if name is not None and name not in labels:
        raise RefusedError(UNKNOWN_LABEL, f"{TEXT} is {name[:80]!r}")
    by_name = labels.index(name) if name is not None else number
    if number is not None and by_name != number:
        raise RefusedError(
            DISAGREEING_LABELS,
            f"{LABEL} is {number}, {labels[number]!r}, but {TEXT} is {name!r}",
        )
    assert by_name is not None
    return by_name


def _number(feature: tf.train.Feature) -> int | None:
    kind = feature.WhichOneof("kind")
    if kind is None or not getattr(feature, kind).value:
        return None
    if kind != "int64_list" or len(feature.int64_list.value) != 1:
        raise RefusedError(UNKNOWN_LABEL, f"{LABEL} is not one whole number")
    return int(feature.int64_list.value[0])


def _name(feature: tf.train.Feature) -> str | None:
    kind = feature.WhichOneof("kind")
    if kind is None or not getattr(feature, kind).value:
        return None
    if kind != "bytes_list" or len(feature.bytes_list.value) != 1:
        raise RefusedError(UNKNOWN_LABEL, f"{TEXT} is not one text")
    # An empty text stands for none, as in the model's own reading of the feature.
    return feature.bytes_list.value[0].decode("utf-8", "replace") or None
