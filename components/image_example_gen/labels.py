"""The features of a record that say what it is: read by their own names, written by the contract's.

`label_forms` has the forms of a label.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from components.image_example_gen import label_forms, quarantine
from components.image_example_gen.options import Features, Rules
from components.image_example_gen.quarantine import QuarantineError
from trainer.features import IMAGE, LABEL, TEXT

_REASONS = {
    label_forms.MissingLabelError: quarantine.MISSING_LABEL,
    label_forms.UnknownLabelError: quarantine.UNKNOWN_LABEL,
    label_forms.DisagreeingLabelsError: quarantine.DISAGREEING_LABELS,
}


def settle(example: tf.train.Example, rules: Rules) -> int:
    """Returns a record's class id, its index in the class names of `rules`.

    Raises:
        QuarantineError: there is no label, it is not in the list or in no form that is read, or
            the two features disagree.
    """
    features, names = example.features.feature, rules.features
    label, text = (_values(features, name) for name in (names.label, names.text))
    try:
        return label_forms.class_id(label, text, rules.labels, names)
    except tuple(_REASONS) as error:
        raise QuarantineError(_REASONS[type(error)], str(error)) from error


def rename(example: tf.train.Example, names: Features, label: int, text: str) -> None:
    """Gives a record the names of the contract, with both label features; keeps other features."""
    features = example.features.feature
    encoded = features[names.image].bytes_list.value[0]
    for name in {names.image, names.label, names.text} - {IMAGE, LABEL, TEXT, None}:
        features.pop(name, None)
    features[IMAGE].bytes_list.value[:] = [encoded]
    features[LABEL].int64_list.value[:] = [label]
    features[TEXT].bytes_list.value[:] = [text.encode()]


def _values(features: Any, name: str | None) -> label_forms.Values:
    """Returns the values of a feature, whatever their kind; empty if the record lacks it."""
    kind = features[name].WhichOneof("kind") if name is not None and name in features else None
    values: label_forms.Values = getattr(features[name], kind).value if kind else ()
    return values
