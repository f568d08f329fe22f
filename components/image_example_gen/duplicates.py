"""Finds copies: records with identical bytes, or with nearly the same picture.

Records are grouped into buckets, and only records of the same bucket are compared, so no step holds
the whole data set. Within a bucket, test images come first, then val, then train. Each image is
compared with the leaders: the images that copy no image before them. So a thousand copies of one
image cost a thousand comparisons, and a train image that copies a test image is always found.
"""

from __future__ import annotations

import enum
import functools
import operator
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import apache_beam as beam
import numpy as np

from components.image_example_gen import similarity
from components.image_example_gen.options import Leaks

_PRECEDENCE = ("test", "val")
_EXACT = b"exact"
# If a bucket has this many leaders, further images unlike all of them are only counted.
_MOST_LEADERS = 2000

Id = tuple[bytes, int]


class Flag(enum.IntFlag):
    """Properties of a copy; `|` joins the flags from two buckets."""

    EXACT_WITHIN = 1
    EXACT_ACROSS = 2
    NEAR_WITHIN = 4
    NEAR_ACROSS = 8
    CONFLICTING = 16
    LEAKED_EXACT = 32
    LEAKED_NEAR = 64
    NOT_COMPARED = 128


class Print(NamedTuple):
    """The data by which a record's copies are found, kept small because it is shuffled often.

    Attributes:
        id: digest of the file's path, and the record's number in the file, from 0.
        split: split of the record; empty until the cut by class has settled it.
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
    """How a record relates to the record that it copies.

    Attributes:
        flags: members of `Flag`, joined by `|`.
        other: id of the original; the lowest id if there are several.
    """

    flags: int
    other: Id


def buckets(one: Print, bands: Iterable[bytes]) -> Iterator[tuple[bytes, Print]]:
    """Yields pairs of bucket name and record, for each bucket that may hold its copies."""
    yield _EXACT + one.content, one
    for band in bands:
        yield band, one


def related(
    bucket: tuple[bytes, Iterable[Any]], similarity_bound: float
) -> Iterator[tuple[Id, Relation]]:
    """Compares the records of a bucket, and yields the id and the relation of each copy.

    `bucket` is a name and its `Print`s, which may be plain tuples and are iterated three times.
    Images are near duplicates if the cosine of their sketches is at least `similarity_bound`.
    """
    name, prints = bucket
    if name.startswith(_EXACT):
        yield from _same_content(prints)
    else:
        yield from _near(prints, similarity_bound)


def _in_order(prints: Iterable[Any]) -> Iterator[Print]:
    # Three passes, as a bucket may not fit into memory.
    for split in _PRECEDENCE:
        yield from (one for one in map(Print._make, prints) if one.split == split)
    yield from (one for one in map(Print._make, prints) if one.split not in _PRECEDENCE)


def _same_content(prints: Iterable[Any]) -> Iterator[tuple[Id, Relation]]:
    ordered = _in_order(prints)
    leader = next(ordered)
    for one in ordered:
        yield one.id, _relation(one, leader, exact=True)


def _near(prints: Iterable[Any], bound: float) -> Iterator[tuple[Id, Relation]]:
    leaders: list[Print] = []
    sketches = np.empty((16, similarity.LENGTH), np.float32)
    for one in _in_order(prints):
        sketch = similarity.unpack(one.sketch)
        cosines = sketches[: len(leaders)] @ sketch
        close = np.flatnonzero(cosines >= bound)
        if close.size:
            # The first one: leaders from test and val come before leaders from train.
            leader = leaders[int(close[0])]
            if leader.content != one.content:
                yield one.id, _relation(one, leader, exact=False)
        elif len(leaders) == _MOST_LEADERS:
            yield one.id, Relation(int(Flag.NOT_COMPARED), one.id)
        else:
            if len(leaders) == len(sketches):
                sketches = np.concatenate([sketches, np.empty_like(sketches)])
            sketches[len(leaders)] = sketch
            leaders.append(one)


def _relation(one: Print, leader: Print, *, exact: bool) -> Relation:
    across = one.split != leader.split
    kinds = (
        (Flag.EXACT_WITHIN, Flag.EXACT_ACROSS) if exact else (Flag.NEAR_WITHIN, Flag.NEAR_ACROSS)
    )
    flags = kinds[across]
    if one.label != leader.label:
        flags |= Flag.CONFLICTING
    if across and one.split == "train":
        flags |= Flag.LEAKED_EXACT if exact else Flag.LEAKED_NEAR
    # A plain int, because Beam's coder pickles a member of `Flag`, which is long.
    return Relation(int(flags), leader.id)


def merge(relations: Iterable[Any]) -> Relation:
    """Merges one record's `Relation`s, which may be plain tuples; associative and commutative."""
    found = [Relation._make(one) for one in relations]
    flags = functools.reduce(operator.or_, (one.flags for one in found), 0)
    # A record not compared in one bucket may be a copy in another; that original takes precedence.
    copies = [one.other for one in found if one.flags != Flag.NOT_COMPARED]
    return Relation(flags, min(copies or [one.other for one in found]))


def names(flags: int) -> list[str]:
    """Returns the names of the set flags in lower case."""
    return [flag.name.lower() for flag in Flag if flag & flags and flag.name]


def is_leaked(flags: int, leaks: Leaks) -> bool:
    """Returns whether a copy must leave train; `leaks` is the config's `remove_leaked`."""
    exact = Flag.LEAKED_EXACT
    wanted = {"none": 0, "exact": exact, "near": exact | Flag.LEAKED_NEAR}
    return bool(flags & wanted[leaks])


@beam.ptransform_fn
def FindCopies(  # noqa: N802, named as Beam names transforms
    prints: beam.PCollection, similarity_bound: float
) -> beam.PCollection:
    """Returns the copies as pairs of `Id` and `Relation`, from the pairs that `buckets` yields.

    All elements are plain tuples, which Beam's own coder encodes in few bytes.
    """
    return (
        prints
        | "GroupByBucket" >> beam.GroupByKey()
        | "Compare"
        >> beam.FlatMap(_compare, similarity_bound).with_output_types(tuple[Id, tuple[int, Id]])
        | "MergeByRecord" >> beam.CombinePerKey(_merge)
    )


def _compare(bucket: tuple[bytes, Iterable[Any]], bound: float) -> Iterator[tuple[Id, Any]]:
    for one, relation in related(bucket, bound):
        yield one, tuple(relation)


def _merge(relations: Iterable[Any]) -> tuple[int, Id]:
    return tuple(merge(relations))  # type: ignore[return-value]
