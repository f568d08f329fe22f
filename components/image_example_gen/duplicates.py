"""Finds copies: the same bytes, or nearly the same picture.

All that share a bucket come together by a GroupByKey, and only they are compared; nothing here
holds the whole data set. In a bucket, images of test come first, then those of val, then those of
train: each is compared with the ones that had no copy before it, the leaders, so a thousand copies
of one image cost a thousand comparisons, and a copy in train is found to be one of a test image.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import apache_beam as beam
import numpy as np

from components.image_example_gen import similarity
from components.image_example_gen.checks import Leaks

TRAIN = "train"
_PRECEDENCE = ("test", "val")
_EXACT = b"exact"
# A bucket with more different images than this says nothing: the rest is counted, not compared.
_MOST_LEADERS = 2000

# What is known of a record that has a copy; `|` joins what two buckets say.
EXACT_WITHIN, EXACT_ACROSS, NEAR_WITHIN, NEAR_ACROSS = 1, 2, 4, 8
CONFLICTING, LEAKED_EXACT, LEAKED_NEAR, NOT_COMPARED = 16, 32, 64, 128

Id = tuple[bytes, int]


class Print(NamedTuple):
    """What is needed of a record to find its copies, and no more: it goes through many shuffles.

    Attributes:
        id: digest of the file's path, and number of the record in the file.
        split: where the record goes.
        label: class id.
        content: digest of the encoded image.
        sketch: see `similarity.pack`.
    """

    id: Id
    split: str
    label: int
    content: bytes
    sketch: bytes


class Relation(NamedTuple):
    """What is known of a record that has a copy.

    Attributes:
        flags: the constants above, joined by `|`.
        other: the record of which it is a copy; the lowest id if there are several.
    """

    flags: int
    other: Id


def buckets(one: Print, bands: Iterable[bytes]) -> Iterator[tuple[bytes, Print]]:
    """Yields the record once for each bucket in which its copies are looked for."""
    yield _EXACT + one.content, one
    for band in bands:
        yield band, one


def related(
    bucket: tuple[bytes, Iterable[Print]], similarity_bound: float
) -> Iterator[tuple[Id, Relation]]:
    """Compares the records of a bucket and yields those that are copies.

    Args:
        bucket: its name and its records; iterated over three times.
        similarity_bound: cosine from which two sketches are near duplicates.
    """
    name, prints = bucket
    if name.startswith(_EXACT):
        yield from _same_content(prints)
    else:
        yield from _near(prints, similarity_bound)


def _in_order(prints: Iterable[Print]) -> Iterator[Print]:
    for split in _PRECEDENCE:
        yield from (one for one in prints if one.split == split)
    yield from (one for one in prints if one.split not in _PRECEDENCE)


def _same_content(prints: Iterable[Print]) -> Iterator[tuple[Id, Relation]]:
    ordered = _in_order(prints)
    leader = next(ordered)
    for one in ordered:
        yield one.id, _relation(one, leader, exact=True)


def _near(prints: Iterable[Print], bound: float) -> Iterator[tuple[Id, Relation]]:
    leaders: list[Print] = []
    sketches = np.empty((16, similarity.LENGTH), np.float32)
    for one in _in_order(prints):
        sketch = similarity.unpack(one.sketch)
        cosines = sketches[: len(leaders)] @ sketch
        close = np.flatnonzero(cosines >= bound)
        if close.size:
            # The first: a leader in test or val comes before one in train.
            leader = leaders[int(close[0])]
            if leader.content != one.content:
                yield one.id, _relation(one, leader, exact=False)
        elif len(leaders) == _MOST_LEADERS:
            yield one.id, Relation(NOT_COMPARED, one.id)
        else:
            if len(leaders) == len(sketches):
                sketches = np.concatenate([sketches, np.empty_like(sketches)])
            sketches[len(leaders)] = sketch
            leaders.append(one)


def _relation(one: Print, leader: Print, *, exact: bool) -> Relation:
    across = one.split != leader.split
    if exact:
        flags = EXACT_ACROSS if across else EXACT_WITHIN
    else:
        flags = NEAR_ACROSS if across else NEAR_WITHIN
    if one.label != leader.label:
        flags |= CONFLICTING
    if across and one.split == TRAIN:
        flags |= LEAKED_EXACT if exact else LEAKED_NEAR
    return Relation(flags, leader.id)


def merge(relations: Iterable[Relation]) -> Relation:
    """Joins what several buckets say of one record; associative and commutative."""
    found = list(relations)
    flags = functools.reduce(operator.or_, (one.flags for one in found), 0)
    # What was left uncompared in one bucket says less than what was found in another.
    copies = [one.other for one in found if one.flags != NOT_COMPARED]
    return Relation(flags, min(copies or [one.other for one in found]))


def is_removed(relation: Relation, leaks: Leaks) -> bool:
    """Tells whether a record is a copy that is taken out of train."""
    wanted = {"none": 0, "exact": LEAKED_EXACT, "near": LEAKED_EXACT | LEAKED_NEAR}
    return bool(relation.flags & wanted[leaks])


@beam.ptransform_fn
def FindCopies(  # noqa: N802, named as Beam names transforms
    prints: beam.PCollection, similarity_bound: float
) -> beam.PCollection:
    """Turns records into what is known of those that are copies.

    Args:
        prints: pairs of a bucket's name and a `Print`, as plain tuples; see `buckets`.
        similarity_bound: cosine from which two sketches are near duplicates.

    Returns:
        Pairs of an `Id` and a `Relation` as plain tuples, one for each record that is a copy.
        Plain tuples are all over what Beam's own coder writes in few bytes.
    """
    return (
        prints
        | "GroupByBucket" >> beam.GroupByKey()
        | "Compare"
        >> beam.FlatMap(_compare, similarity_bound).with_output_types(tuple[Id, tuple[int, Id]])
        | "MergeByRecord" >> beam.CombinePerKey(_merge)
    )


def _compare(bucket: tuple[bytes, Iterable[Any]], bound: float) -> Iterator[tuple[Id, Any]]:
    name, values = bucket
    prints = _Prints(values)
    for one, relation in related((name, prints), bound):
        yield one, tuple(relation)


class _Prints(Iterable[Print]):
    """The plain tuples of a bucket as `Print`s, each time anew: a bucket may not fit in memory."""

    def __init__(self, values: Iterable[Any]) -> None:
        self._values = values

    def __iter__(self) -> Iterator[Print]:
        return (Print(*value) for value in self._values)


def _merge(values: Iterable[Any]) -> tuple[int, Id]:
    return tuple(merge(Relation(*value) for value in values))  # type: ignore[return-value]
