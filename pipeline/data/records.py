"""Checks that the first records of the data fit the config, before anything heavy loads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from components.image_example_gen import label_forms
from components.image_example_gen.label_forms import listed
from components.image_example_gen.options import Features
from pipeline.config import ConfigError
from pipeline.config.yaml_text import inline
from pipeline.data import peek
from trainer.features import IMAGE, LABEL, TEXT

# Enough to find labels that do not fit; few enough to take well under a second.
_RECORDS_PER_FILE = 64
_RECORDS_IN_ALL = 1024
_IMAGE_STARTS = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM")
LABEL_WORDS = ("label", "class", "category", "target")
"""What people call a feature with the class; a number in the file, for example, looks like one."""


@dataclass
class _Bases:
    """What the labels tell of the number of the first class.

    Attributes:
        numbers: the numbers of all label features.
        bases: number less class id, for each record whose text names its class.
    """

    numbers: set[int] = field(default_factory=set)
    bases: set[int] = field(default_factory=set)


def check(files: Mapping[str, Sequence[str]], labels: tuple[str, ...], names: Features) -> None:
    """Checks that some of the first records of each split fit, and that labels start as told.

    Args:
        files: name of a split, for messages, -> paths of its files.
        labels: class names in the order of their ids.
        names: names of the features, and the number of the first class.

    Raises:
        ConfigError: a split has no record, none of its first records has an image and a label that
            fit, or all labels together tell that they start from the other number.
    """
    limit = max(1, min(_RECORDS_PER_FILE, _RECORDS_IN_ALL // sum(map(len, files.values()))))
    bases = _Bases()
    refused = None
    for split, paths in files.items():
        found = [
            problem for path in paths for problem in _problems(path, limit, labels, names, bases)
        ]
        if None not in found and refused is None:
            nothing = f"{split}: found no record in its files; allowed: one or more"
            refused = next(filter(None, found), ConfigError(nothing))
    first = next(path for paths in files.values() for path in paths)
    _check_base(bases, first, len(labels), names)
    if refused is not None:
        raise refused


def _check_base(bases: _Bases, path: str, classes: int, names: Features) -> None:
    """Refuses labels that start from the other number; which one is never guessed."""
    other = 1 - names.label_base
    numbers = bases.numbers
    all_fit = bool(numbers) and min(numbers) >= other and max(numbers) < other + classes
    # The number that only the other base allows.
    told = (classes if other else 0) in numbers
    if bases.bases == {other} or (not bases.bases and all_fit and told):
        raise ConfigError(
            f"{path} and others: {names.label}: found {min(numbers)} to {max(numbers)} for"
            f" {classes} labels, but data.features.label_base is {names.label_base}; did you mean"
            f" data.features.label_base: {other}?"
        )


def _problems(
    path: str, limit: int, labels: tuple[str, ...], names: Features, bases: _Bases
) -> Iterator[ConfigError | None]:
    """Yields the error of each of a file's first `limit` records; None for a record that fits."""
    try:
        for number, record in enumerate(peek.examples(path, limit)):
            _note_base(record, labels, names, bases)
            try:
                _check_record(record, labels, names)
                yield None
            except ValueError as error:
                yield ConfigError(f"{path}: record {number}: {error}")
    except OSError as error:
        raise ConfigError(str(error)) from error
    except ValueError as error:
        yield ConfigError(str(error))


def _note_base(
    record: peek.Record, labels: tuple[str, ...], names: Features, bases: _Bases
) -> None:
    values = peek.values(record, names.label)
    if any(
        isinstance(value, bytes) and label_forms.by_name(_text(value), labels) is not None
        for value in values
    ):
        return
    number = label_forms.number_of(values)
    if number is None:
        return
    bases.numbers.add(number)
    text = peek.values(record, names.text)
    if len(text) == 1 and isinstance(text[0], bytes):
        named = label_forms.by_name(_text(text[0]), labels)
        if named is not None:
            bases.bases.add(number - named)


def _check_record(record: peek.Record, labels: tuple[str, ...], names: Features) -> None:
    """Raises ValueError, with the feature, what was found and what is allowed."""
    encoded = record.get(names.image, [])
    if len(encoded) > 1:
        raise ValueError(f"{names.image}: found {len(encoded)} values; allowed: one")
    if not encoded or not _is_image(encoded):
        found = "something else" if encoded else "nothing"
        raise ValueError(
            f"{names.image}: found {found}; allowed: the bytes of a JPEG, PNG, GIF or BMP file"
            f"{_proposal(record, labels, names)}"
        )
    try:
        label_forms.class_id(
            peek.values(record, names.label), peek.values(record, names.text), labels, names
        )
    except label_forms.MissingLabelError as error:
        raise ValueError(f"{error}{_proposal(record, labels, names)}") from error


def _proposal(record: peek.Record, labels: tuple[str, ...], names: Features) -> str:
    """Returns what the record has, and the names that it seems to use; "" if it has nothing new."""
    others = sorted(set(record) - {names.image, names.label, names.text})
    if not others:
        return ""
    images = [name for name in sorted(record) if _is_image(record[name])]
    chosen = dict(zip(("image", "label", "text"), _guess(record, images, labels), strict=True))
    changed = {key: name for key, name in chosen.items() if name and name != getattr(names, key)}
    has = f"; the record has {listed(sorted(record))}"
    if not changed:
        return has
    usual = {"image": IMAGE, "label": LABEL, "text": TEXT}
    proposed = {key: name for key, name in chosen.items() if name and name != usual[key]}
    return f"{has}; did you mean data.features: {inline(proposed)}?"


def _guess(
    record: peek.Record, images: Sequence[str], labels: tuple[str, ...]
) -> tuple[str, str, str]:
    """Returns the names of image, label and text that a record seems to have; "" for unknown."""
    texts, numbers = [], []
    for name in sorted(record, key=lambda name: (not is_label_word(name), name)):
        values = record[name]
        if name in images or not values:
            continue
        if (
            isinstance(values[0], bytes)
            and label_forms.by_name(_text(values[0]), labels) is not None
        ):
            texts.append(name)
        elif is_label_word(name) and _reads_as_label(values, labels):
            numbers.append(name)
    # A class name alone is a label in one of its forms.
    label = numbers[0] if numbers else (texts.pop(0) if texts else "")
    return (images[0] if images else "", label, texts[0] if texts else "")


def _reads_as_label(values: peek.Values, labels: tuple[str, ...]) -> bool:
    for base in (0, 1):
        try:
            label_forms.class_id(values, [], labels, Features(label_base=base))
        except ValueError:
            continue
        return True
    return False


def is_label_word(name: str) -> bool:
    """Returns whether a feature's name has one of `LABEL_WORDS` in it, in any case."""
    return any(word in name.lower() for word in LABEL_WORDS)


def _is_image(values: peek.Values) -> bool:
    (first, *more) = values or [b""]
    return isinstance(first, bytes) and first.startswith(_IMAGE_STARTS) and not more


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")
