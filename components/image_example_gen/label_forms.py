"""The forms in which a record may hold its class, each read into a class id.

A number from 0 or from 1, its digits as text, a class name, or one-hot numbers. The first check of
the data and ImageExampleGen read them by this module, which loads no TensorFlow.
"""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Sequence

from components.image_example_gen.options import Features
from trainer.section import did_you_mean, shown

_NAMES_IN_MESSAGE = 10
_DIGITS = 19  # of the largest int64

Values = Sequence[bytes] | Sequence[float] | Sequence[int]


class MissingLabelError(ValueError):
    """A record has no class."""


class UnknownLabelError(ValueError):
    """A record's class is not one of the list, or has a form that is not read."""


class DisagreeingLabelsError(ValueError):
    """The two features of a record name different classes."""


def class_id(label: Values, text: Values, labels: tuple[str, ...], names: Features) -> int:
    """Returns the class id of a record, its index in `labels`.

    Args:
        label: the values of the feature `names.label`; empty if the record lacks it.
        text: the values of the feature `names.text`; empty if the record lacks it.
        labels: class names in the order of their ids.
        names: names of the two features, and the number of the first class.

    Raises:
        MissingLabelError: both features are empty.
        UnknownLabelError: a feature is of another form, or no class of the list.
        DisagreeingLabelsError: the features name different classes.
    """
    number = _by_label(label, labels, names)
    by_text = _by_text(text, labels, str(names.text))
    if number is None and by_text is None:
        if names.label is None or names.text is None:
            raise MissingLabelError(f"found no {names.label or names.text}; allowed: a class")
        raise MissingLabelError(
            f"found neither {names.label} nor {names.text}; allowed: either or both"
        )
    if number is not None and by_text is not None and number != by_text:
        raise DisagreeingLabelsError(
            f"{names.text}: found {shown(labels[by_text])} with {names.label}"
            f" {number + names.label_base}, which is {shown(labels[number])}; allowed: a name and a"
            " label that agree"
        )
    found = number if by_text is None else by_text
    assert found is not None
    return found


def normal(name: str) -> str:
    """Returns a class name in Unicode's form NFC, without white space around it.

    Two names that look alike on the screen then are one class: macOS writes "é" as two characters,
    and a spreadsheet keeps a no-break space.
    """
    return unicodedata.normalize("NFC", name).strip()


def by_name(name: str, labels: tuple[str, ...]) -> int | None:
    """Returns the id of a class name; outer white space and the form of Unicode do not matter."""
    ids, folded = _indices(labels)
    return ids.get(name, folded.get(normal(name)))


def number_of(values: Values) -> int | None:
    """Returns the number that stands in a label feature, before its base is taken off.

    None if the feature has no single whole number, as a number or as digits.
    """
    if len(values) != 1:
        return None
    (value,) = values
    if isinstance(value, bytes):
        # Longer digits are no class id, and Python refuses to read thousands of them.
        return int(value) if value.isdigit() and len(value) <= _DIGITS else None
    return value if isinstance(value, int) else None


def listed(names: Sequence[str]) -> str:
    """Returns some names for a message."""
    rest = len(names) - _NAMES_IN_MESSAGE
    return ", ".join(names[:_NAMES_IN_MESSAGE]) + (f" and {rest} more" if rest > 0 else "")


def _by_label(values: Values, labels: tuple[str, ...], names: Features) -> int | None:
    if len(values) > 1:
        return _one_hot(values, labels, str(names.label))
    if not values or values[0] == b"":
        return None
    (value,) = values
    if isinstance(value, bytes):
        found = by_name(value.decode("utf-8", "replace"), labels)
        if found is not None:
            return found
        if not value.isdigit():
            raise _unknown_name(value, labels, str(names.label))
    number = number_of(values)
    first, last = names.label_base, names.label_base + len(labels) - 1
    if number is None or not first <= number <= last:
        raise UnknownLabelError(
            f"{names.label}: found {value!r}; allowed: {first} to"
            f" {last}, as there are {len(labels)} labels"
        )
    return number - first


def _one_hot(values: Values, labels: Sequence[str], feature: str) -> int:
    if len(values) != len(labels) or any(isinstance(value, bytes) for value in values):
        raise UnknownLabelError(
            f"{feature}: found {len(values)} values; allowed: one, or a one-hot number for each of"
            f" {len(labels)} labels"
        )
    ones = [index for index, value in enumerate(values) if value == 1]
    if len(ones) != 1 or any(value not in (0, 1) for value in values):
        raise UnknownLabelError(
            f"{feature}: found {len(ones)} ones among {len(values)} values; allowed: a single 1,"
            " and 0 for each other label"
        )
    return ones[0]


def _by_text(values: Values, labels: tuple[str, ...], feature: str) -> int | None:
    # An empty text means no text.
    if not values or values[0] == b"":
        return None
    if len(values) > 1:
        raise UnknownLabelError(f"{feature}: found {len(values)} values; allowed: one")
    (value,) = values
    found = by_name(value.decode("utf-8", "replace"), labels) if isinstance(value, bytes) else None
    if found is None:
        raise _unknown_name(value, labels, feature)
    return found


def _unknown_name(value: object, labels: tuple[str, ...], feature: str) -> UnknownLabelError:
    name = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return UnknownLabelError(
        f"{feature}: found {shown(name)}; allowed: {listed(labels)}{did_you_mean(name, labels)}"
    )


@functools.lru_cache(maxsize=8)
def _indices(labels: tuple[str, ...]) -> tuple[dict[str, int], dict[str, int]]:
    exact = {label: number for number, label in enumerate(labels)}
    folded: dict[str, int] = {}
    for number, label in enumerate(labels):
        folded.setdefault(normal(label), number)
    return exact, folded
