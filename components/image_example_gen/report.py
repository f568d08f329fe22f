"""What ImageExampleGen found in a span: a JSON file beside the splits."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tfx.dsl.io import fileio

FILE_NAME = "report.json"
QUARANTINE = "quarantine"
_LEAKED = "leaked"


@dataclass(frozen=True)
class Damage:
    """A file whose rest could not be read.

    Attributes:
        file: its path.
        records: how many records stood before the damage; they are used.
        reason: what is wrong with it.
    """

    file: str
    records: int
    reason: str


@dataclass(frozen=True)
class Copies:
    """How many records are copies of another one; the one that is copied does not count.

    Attributes:
        within: copies of a record of the same split.
        across: copies of a record of another split: these leak.
    """

    within: int = 0
    across: int = 0


@dataclass(frozen=True)
class Copy:
    """One record that is a copy, as an example for people.

    Attributes:
        file: the file that holds it.
        record: its number in the file, from 0.
        other_file: the file of the record of which it is a copy.
        other_record: that record's number.
        found: names of what holds for it: exact, near, across, conflicting, leaked.
    """

    file: str
    record: int
    other_file: str
    other_record: int
    found: tuple[str, ...]


@dataclass(frozen=True)
class Report:
    """What was found in a span.

    Attributes:
        span: the span's number.
        clean: records in each split.
        classes: split -> class name -> clean records, every class of the list among them.
        quarantined: reason -> records, without those removed because they leaked.
        removed: copies of val or test images that were taken out of train.
        damaged: files that could be read in part only.
        exact: records with the very same image.
        near: records with nearly the same image.
        conflicting: copies with another label than what they are a copy of.
        not_compared: records that were not compared with all that look alike, as these were too
            many.
        examples: the first copies.
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
        """Counts all that came in, wherever it went."""
        return sum(self.clean.values()) + sum(self.quarantined.values()) + self.removed

    @property
    def quarantined_share(self) -> float:
        """Share of the records that are in quarantine, but for removed copies; in [0, 1]."""
        return sum(self.quarantined.values()) / self.records if self.records else 0.0

    @property
    def reasons(self) -> str:
        """Lists why records are in quarantine and how many, the most frequent first."""
        ordered = sorted(self.quarantined.items(), key=lambda item: (-item[1], item[0]))
        return ", ".join(f"{count} {reason}" for reason, count in ordered)

    def as_json(self) -> str:
        """Returns the report as JSON, with the sums."""
        fields = {"records": self.records, "quarantined_share": self.quarantined_share}
        return json.dumps({**fields, **dataclasses.asdict(self)}, indent=2, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Report:
        """Reads what `as_json` wrote."""
        fields: dict[str, Any] = json.loads(text)
        del fields["records"], fields["quarantined_share"]
        fields["damaged"] = tuple(Damage(**one) for one in fields["damaged"])
        fields["examples"] = tuple(
            Copy(**{**one, "found": tuple(one["found"])}) for one in fields["examples"]
        )
        fields["exact"], fields["near"] = Copies(**fields["exact"]), Copies(**fields["near"])
        return cls(**fields)


def read(examples: str) -> Report:
    """Reads the report of an `Examples` artifact, given its folder."""
    with fileio.open(os.path.join(examples, FILE_NAME), "rb") as file:
        return Report.from_json(file.read().decode("utf-8"))


def findings(report: Report, max_quarantined: float, min_class_images: int) -> list[str]:
    """Says what is wrong with a span, in a sentence each; nothing if it may be used.

    Args:
        report: what was found in it.
        max_quarantined: highest share of records in quarantine, in [0, 1].
        min_class_images: fewest images of train that each class must have.
    """
    found = []
    if report.quarantined_share > max_quarantined:
        found.append(
            f"{sum(report.quarantined.values())} of {report.records} records"
            f" ({report.quarantined_share:.1%}) are in quarantine: {report.reasons}; data.checks."
            f"max_quarantined allows {max_quarantined:.1%}."
        )
    for name, count in report.classes.get("train", {}).items():
        if count < min_class_images:
            found.append(
                f"Class {name} has {count} images in train; data.checks.min_class_images asks for"
                f" {min_class_images}."
            )
    return found


def assemble(
    *,
    span: int,
    labels: Sequence[str],
    splits: Sequence[str],
    counts: Mapping[tuple[str, str, int], int],
    relations: Mapping[str, int],
    damaged: Sequence[Damage],
    examples: Sequence[Copy],
) -> Report:
    """Makes the report of what was counted.

    Args:
        span: the span's number.
        labels: class names; the index in this list is the class id.
        splits: names of all splits.
        counts: (split, "", class id) -> clean records; (split, reason, -1) -> others.
        relations: name of what holds for a copy -> records.
        damaged: files that could be read in part only.
        examples: some copies.
    """
    classes = {
        split: {label: counts.get((split, "", i), 0) for i, label in enumerate(labels)}
        for split in splits
    }
    quarantined: dict[str, int] = {}
    for (_, reason, _), count in sorted(counts.items()):
        if reason:
            quarantined[reason] = quarantined.get(reason, 0) + count
    return Report(
        span=span,
        clean={split: sum(by_class.values()) for split, by_class in classes.items()},
        classes=classes,
        removed=quarantined.pop(_LEAKED, 0),
        quarantined=quarantined,
        damaged=tuple(sorted(damaged, key=lambda one: one.file)),
        exact=Copies(relations.get("exact_within", 0), relations.get("exact_across", 0)),
        near=Copies(relations.get("near_within", 0), relations.get("near_across", 0)),
        conflicting=relations.get("conflicting", 0),
        not_compared=relations.get("not_compared", 0),
        examples=tuple(examples),
    )
