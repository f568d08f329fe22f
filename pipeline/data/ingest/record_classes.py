"""The classes of TFRecords that something else wrote: names, numbers, and how they fit together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from components import tfrecord_file
from components.image_example_gen import label_forms
from components.image_example_gen.label_forms import listed, normal
from components.image_example_gen.options import Features
from pipeline.config import ConfigError, read_label_file
from pipeline.data import peek


def listing(files: Sequence[Path], names: Features) -> tuple[str, ...] | None:
    """Returns the class names in a file beside the records, or above their splits' folders."""
    own = f"{names.label or ''}.labels.txt".replace("/", "_")
    for folder in dict.fromkeys([*(file.parent for file in files), files[0].parent.parent]):
        for file in (folder / "labels.txt", folder / own):
            if file.is_file():
                return read_label_file(str(file))
    return None


def counted(files: Sequence[Path], names: Features) -> Counter[tuple[str, int | None]]:
    """Counts the classes of all records, each as its name and number; ("", None) is unreadable."""
    found: Counter[tuple[str, int | None]] = Counter()
    for file in files:
        for record in decoded(str(file)):
            if isinstance(record, str):
                found["", None] += 1
                continue
            try:
                found[own(record, names)] += 1
            except ValueError:
                found["", None] += 1
    return found


def own(record: peek.Record, names: Features) -> tuple[str, int | None]:
    """Returns the class that a record states itself, as its name and number."""
    label, text = peek.values(record, names.label), peek.values(record, names.text)
    number: int | None = None
    if len(label) > 1:
        numbers = tuple(str(index) for index in range(len(label)))
        number = label_forms.class_id(label, [], numbers, names)
    elif label and isinstance(label[0], int):
        number = label[0]
        if number < 0:
            raise label_forms.MissingLabelError(f"{names.label}: found {number}; allowed: a class")
    for values in (text, label):
        if len(values) == 1 and isinstance(values[0], bytes) and values[0].strip():
            return normal(values[0].decode()), number
    if number is None:
        raise label_forms.MissingLabelError(f"found no class in {names.label or names.text}")
    return str(number), number


def ordered(
    classes: Iterable[tuple[str, int | None]], names: Features, where: str
) -> tuple[str, ...]:
    """Returns class names in the order of their numbers; without numbers, in that of the names."""
    numbered: dict[int, str] = {}
    by_name: dict[str, int | None] = {}
    for name, number in sorted(classes, key=str):
        if not name:
            continue
        same = numbered.setdefault(number, name) if number is not None else name
        if same != name or by_name.setdefault(name, number) != number:
            pair = f"{same} and {name}" if same != name else f"{by_name[name]} and {number}"
            raise ConfigError(
                f"{where}: found {pair} for one class in {names.label} and {names.text}; allowed:"
                f" features that agree; did you mean --features label={names.label},text=null?"
            )
    if None in by_name.values():
        digits = all(name.isdecimal() for name in by_name)
        return tuple(sorted(by_name, key=lambda name: (int(name) if digits else 0, name)))
    return tuple(name for _, name in sorted(numbered.items()))


def check(
    classes: Counter[tuple[str, int | None]],
    labels: tuple[str, ...],
    names: Features,
    where: str,
    *,
    base_chosen: bool,
) -> None:
    """Refuses numbers that do not start where they are said to, and texts of another list.

    A few numbers beyond the list refuse no more than their records, when these are read.

    Args:
        classes: see `counted`.
        labels: the list of names.
        names: names of the features, and the number of the first class.
        where: what messages call the source.
        base_chosen: whether a person said the number of the first class.

    Raises:
        ConfigError: no text is in the list; most numbers are beyond it; or, if the base is not
            chosen, fewer numbers are beyond it with the other base.
    """
    numbers: Counter[int] = Counter()
    texts = set()
    for (name, number), count in classes.items():
        if number is not None:
            numbers[number] += count
            texts |= {name} - {str(number)}
    if names.label and texts and not _known(texts, labels):
        raise ConfigError(
            f"{where}: {names.text}: found {min(texts)}; allowed: {listed(labels)}; did you mean"
            f" --features label={names.label},text=null?"
        )
    base, other = names.label_base, 1 - names.label_base
    beyond = {
        first: sum(n for number, n in numbers.items() if not first <= number < first + len(labels))
        for first in (base, other)
    }
    is_other = beyond[other] < beyond[base] and not base_chosen
    if is_other or beyond[base] > numbers.total() / 2:
        way = f"; did you mean --features label_base={other}?" if is_other else ""
        raise ConfigError(
            f"{where}: {names.label}: found {min(numbers)} to {max(numbers)} for {len(labels)}"
            f" class names; allowed: {base} to {base + len(labels) - 1}{way}"
        )


def _known(texts: Iterable[str], labels: tuple[str, ...]) -> bool:
    return any(label_forms.by_name(text, labels) is not None for text in texts)


def decoded(file: str) -> Iterator[peek.Record | str]:
    """Yields the records of a file; in place of one that cannot be read, the reason."""
    try:
        with Path(file).open("rb") as stream:
            for record in tfrecord_file.records(stream):
                try:
                    yield peek.decode(record)
                except ValueError as error:
                    yield str(error)
    except (tfrecord_file.DamagedError, OSError) as error:
        yield f"this and all after it: {error}"
