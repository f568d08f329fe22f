"""The two readings of a file: `Inspect` finds each record's verdict, `Deliver` applies it.

`Deliver` decodes no image: it sends each record to the split or quarantine of its verdict.
"""

from __future__ import annotations

import collections
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import apache_beam as beam
import tensorflow as tf

from components import tfrecord_file
from components.image_example_gen import (
    duplicates,
    inspection,
    labels,
    naming,
    quarantine,
    source,
)
from components.image_example_gen.options import Rules
from components.image_example_gen.splits import Cut
from trainer import progress
from trainer.features import FILENAME, MEASURED

# Outputs of the two steps, and the keys under which `Deliver` gets its inputs.
VERDICTS, PRINTS, NAMES, DAMAGED = "verdicts", "prints", "names", "damaged"
COUNTS = "counts"
FILE, REMOVED, SETTLED = "file", "removed", "settled"


class Verdict(NamedTuple):
    """Where a record goes; sent as a plain tuple, which Beam's coder encodes in few bytes.

    Attributes:
        number: the record's number in the file, from 0.
        checksum: the record's checksum, by which the second reading detects a changed file.
        split: split of a clean record; empty if the cut by class settles it.
        reason: reason for quarantine; empty if the record is clean.
        detail: the finding in words; empty if the record is clean.
        label: class id; -1 in quarantine.
        measures: the fields of `Measures`; empty in quarantine.
    """

    number: int
    checksum: int
    split: str
    reason: str
    detail: str
    label: int
    measures: tuple[float, ...]


class Inspect(beam.DoFn):
    """Reads a file and outputs a verdict for each record, keyed by the file."""

    def __init__(self, rules: Rules, cut: Cut | None) -> None:
        """Takes the checks, and how records are cut into splits; None keeps the input's splits."""
        self._rules = rules
        self._cut = cut

    def process(self, element: source.File) -> Iterator[Any]:
        """Yields verdicts, `Print`s and names of the clean records, and the file's damage, if any.

        A record without a file name has no name: `naming.place` tells it from its number.
        """
        key, (path, given) = element
        damage: list[str] = []
        number = 0
        for batch in source.batches(source.records(path, damage)):
            for record, found in zip(batch, inspection.inspect(batch, self._rules), strict=True):
                which = (number, tfrecord_file.masked_checksum(record))
                if isinstance(found, quarantine.QuarantineError):
                    yield key, (*which, given, found.reason, found.detail, -1, ())
                else:
                    split = self._split(given, found)
                    yield key, (*which, split, "", "", found.label, tuple(found.measures))
                    yield beam.pvalue.TaggedOutput(
                        PRINTS, _print((key, number), split, source.span(path), found)
                    )
                    name = naming.given(record)
                    if name:
                        yield beam.pvalue.TaggedOutput(NAMES, ((key, number), name))
                number += 1
            progress.count(progress.CHECKED, len(batch))
        for reason in damage:
            yield beam.pvalue.TaggedOutput(DAMAGED, (path, number, reason))

    def _split(self, given: str, found: inspection.Clean) -> str:
        if self._cut is None or self._cut.of != given:
            return given
        return "" if self._rules.group is None else self._cut.split(found.key)


def _print(
    record: duplicates.Id, split: str, span: int, found: inspection.Clean
) -> tuple[Any, ...]:
    """Returns content, span, a `Print` and the names of its bands, as plain tuples."""
    one = duplicates.Print(record, split, found.label, found.content, found.sketch)
    return found.content, (span, tuple(one), tuple(found.bands))


class Deliver(beam.DoFn):
    """Reads a file again and sends each record to the split or quarantine of its verdict."""

    def __init__(self, rules: Rules) -> None:
        """Takes the rules, for the class names and the names of the records' features."""
        self._rules = rules

    def process(self, element: tuple[bytes, Mapping[str, Iterable[Any]]]) -> Iterator[Any]:
        """Yields serialised records, tagged by split or quarantine, and at the end their counts.

        `element` is a file's key, with the file, its verdicts, the splits that a cut by class
        settled, if any, and the copies to remove from it, each with the name of its original.

        Raises:
            RuntimeError: the file changed since `Inspect` read it.
        """
        _, groups = element
        ((path, _),) = groups[FILE]
        verdicts = {one[0]: Verdict._make(one) for one in groups[VERDICTS]}
        removed, settled = dict(groups[REMOVED]), dict(groups.get(SETTLED, ()))
        counts: collections.Counter[tuple[str, str, int]] = collections.Counter()
        for number, record in enumerate(source.records(path, [])):
            if number not in verdicts:
                raise RuntimeError(f"{path} grew while it was read")
            verdict = verdicts.pop(number)
            if verdict.checksum != tfrecord_file.masked_checksum(record):
                raise RuntimeError(f"{path} changed while it was read")
            if number in settled:
                verdict = verdict._replace(split=settled[number])
            if number in removed:
                detail = f"a copy of {removed[number]}"
                verdict = verdict._replace(reason=quarantine.LEAKED, detail=detail, label=-1)
            counts[verdict.split, verdict.reason, verdict.label] += 1
            if verdict.reason:
                kept = quarantine.Quarantined(record, verdict.reason, verdict.detail, path, number)
                yield beam.pvalue.TaggedOutput(quarantine.FOLDER, kept.serialized())
            else:
                done = _complete(record, self._rules, verdict, naming.place(path, number))
                yield beam.pvalue.TaggedOutput(verdict.split, done)
        if verdicts:
            raise RuntimeError(f"{path} shrank while it was read")
        yield from counts.items()


def _complete(record: bytes, rules: Rules, verdict: Verdict, place: str) -> bytes:
    """Returns a serialised tf.Example in the contract's names, with its image's measures added.

    A record that has no file name gets its place as its name.
    """
    example = tf.train.Example.FromString(record)
    labels.rename(example, rules.features, verdict.label, rules.labels[verdict.label])
    features = example.features.feature
    if not naming.of(features[FILENAME]):
        features[FILENAME].bytes_list.value[:] = [place.encode()]
    for name, value in zip(MEASURED, verdict.measures, strict=True):
        kind = "int64_list" if isinstance(value, int) else "float_list"
        getattr(features[name], kind).value[:] = [value]
    serialized: bytes = example.SerializeToString(deterministic=True)
    return serialized
