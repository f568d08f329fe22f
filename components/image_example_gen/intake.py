"""The counts of a span's ingested records, stored as a JSON file beside the splits."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pydantic
from tfx.utils import io_utils

from components.image_example_gen import label_forms
from components.image_example_gen.quarantine import LEAKED, UNKNOWN_LABEL

FILE_NAME = "intake.json"


@dataclass(frozen=True)
class Damage:
    """A damaged file, of which only the `records` records before the damage are ingested."""

    file: str
    records: int
    reason: str


@dataclass(frozen=True)
class Copies:
    """The number of records that copy another record; originals are not counted.

    Attributes:
        within: copies of a record in the same split.
        across: copies of a record in another split.
    """

    within: int = 0
    across: int = 0


@dataclass(frozen=True)
class Copy:
    """The place of a copy and of its original, as an example; `found` are the names of its flags.

    `record` and `other_record` are the records' numbers in their files, from 0. `name` and
    `other_name` are their file names, or their places in the span; "" before version 0.3.
    """

    file: str
    record: int
    other_file: str
    other_record: int
    found: tuple[str, ...]
    name: str = ""
    other_name: str = ""


@dataclass(frozen=True)
class Intake:
    """Counts of the ingested records of a span, by destination.

    Attributes:
        span: the span's number.
        clean: split -> clean records.
        classes: split -> class name -> clean records, including classes without records.
        quarantined: reason -> records in quarantine, without the `removed` ones.
        removed: copies of val or test images that were moved from train to quarantine.
        damaged: files that could be read only in part.
        exact: copies with identical bytes.
        near: copies with nearly the same pixels.
        conflicting: copies whose label differs from the original's.
        not_compared: records not compared with all similar ones, because there are too many.
        examples: some of the copies.
    """

    span: int
    clean: Mapping[str, int]
    classes: Mapping[str, Mapping[str, int]]
    quarantined: Mapping[str, int]
    removed: int = 0
    damaged: tuple[Damage, ...] = ()
    exact: Copies = field(default_factory=Copies)
    near: Copies = field(default_factory=Copies)
    conflicting: int = 0
    not_compared: int = 0
    examples: tuple[Copy, ...] = ()

    @property
    def records(self) -> int:
        """The number of all ingested records: clean, quarantined or removed."""
        return sum(self.clean.values()) + sum(self.quarantined.values()) + self.removed

    @property
    def quarantined_share(self) -> float:
        """The share of records in quarantine, without the removed ones, in [0, 1]."""
        return sum(self.quarantined.values()) / self.records if self.records else 0.0

    @property
    def reasons(self) -> str:
        """Returns the reasons for quarantine with their counts, the most frequent first."""
        ordered = sorted(self.quarantined.items(), key=lambda item: (-item[1], item[0]))
        return ", ".join(f"{count} {reason}" for reason, count in ordered)

    def as_json(self) -> str:
        """Returns the fields, `records` and `quarantined_share` as JSON."""
        fields = {"records": self.records, "quarantined_share": self.quarantined_share}
        return json.dumps({**fields, **dataclasses.asdict(self)}, indent=2, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Intake:
        """Reads the JSON of `as_json`."""
        return _JSON.validate_json(text)


_JSON = pydantic.TypeAdapter(Intake)


def read(examples: str) -> Intake:
    """Reads the `Intake` from the folder of an `Examples` artifact of ImageExampleGen."""
    return Intake.from_json(io_utils.read_string_file(os.path.join(examples, FILE_NAME)))


def findings(intake: Intake, max_quarantined: float, min_class_images: int) -> list[str]:
    """Returns a sentence for each reason to refuse a span; none if it may be used.

    `max_quarantined` is a share in [0, 1]; each class needs `min_class_images` in train.
    """
    found = []
    if intake.quarantined_share > max_quarantined:
        found.append(
            f"{sum(intake.quarantined.values())} of {intake.records} records"
            f" ({intake.quarantined_share:.1%}) are in quarantine: {intake.reasons}; data.checks."
            f"max_quarantined allows {max_quarantined:.1%}."
        )
    few = {n: c for n, c in intake.classes.get("train", {}).items() if c < min_class_images}
    found += [
        f"Class {name} has {count} images in train; data.checks.min_class_images asks for"
        f" {min_class_images}."
        for name, count in few.items()
    ]
    first = next(iter(intake.classes.get("train", {})), "")
    if few.get(first) == 0 and UNKNOWN_LABEL in intake.quarantined:
        # The check before the run reads first records only, which may be sorted by class.
        found.append("If labels count from 1, set data.features.label_base: 1.")
    return found


def warning(intake: Intake, min_test_images: int) -> str:
    """Returns a sentence on classes with too few test images to judge; "" if there are none."""
    few = {
        name: count
        for name, count in intake.classes.get("test", {}).items()
        if count < min_test_images
    }
    if not few:
        return ""
    listed = label_forms.listed([f"{name} ({count})" for name, count in few.items()])
    return (
        f"Fewer than {min_test_images} test images, too few to judge: {listed}. More images of"
        " them, or a larger data.splits.test, help; evaluation.untested decides whether the model"
        " is refused for it."
    )


def assemble(
    *,
    span: int,
    labels: Sequence[str],
    splits: Sequence[str],
    counts: Mapping[tuple[str, str, int], int],
    flags: Mapping[str, int],
    damaged: Sequence[Damage],
    examples: Sequence[Copy],
) -> Intake:
    """Returns the `Intake` of a span from its counts.

    `counts` maps (split, "", class id) to the number of clean records, and (split, reason, -1) to
    the number of quarantined ones. `flags` maps a flag's name to the number of copies with it.
    """
    classes = {
        split: {label: counts.get((split, "", i), 0) for i, label in enumerate(labels)}
        for split in splits
    }
    quarantined: dict[str, int] = {}
    for (_, reason, _), count in sorted(counts.items()):
        if reason:
            quarantined[reason] = quarantined.get(reason, 0) + count
    return Intake(
        span=span,
        clean={split: sum(by_class.values()) for split, by_class in classes.items()},
        classes=classes,
        removed=quarantined.pop(LEAKED, 0),
        quarantined=quarantined,
        damaged=tuple(sorted(damaged, key=lambda one: one.file)),
        exact=Copies(flags.get("exact_within", 0), flags.get("exact_across", 0)),
        near=Copies(flags.get("near_within", 0), flags.get("near_across", 0)),
        conflicting=flags.get("conflicting", 0),
        not_compared=flags.get("not_compared", 0),
        examples=tuple(examples),
    )
