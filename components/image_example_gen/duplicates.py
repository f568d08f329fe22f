"""Finds copies: records with the same bytes, or with nearly the same picture.

A GroupByKey brings together the records of a bucket, and only these are compared, so no step holds
the whole data set. Within a bucket, the images of test come first, then those of val, then those of
train. Each is compared with the leaders: the images that copy none before them. So a thousand
copies of one image cost a thousand comparisons, and a train image that copies a test image is found
to do so.
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
# A bucket with more leaders than this tells nothing: the rest is counted and not compared.
_MOST_LEADERS = 2000

Id = tuple[bytes, int]


class Flag(enum.IntFlag):
    """What holds for a copy; `|` joins what two buckets say."""

    EXACT_WITHIN = 1
    EXACT_ACROSS = 2
    NEAR_WITHIN = 4
    NEAR_ACROSS = 8
    CONFLICTING = 16
    LEAKED_EXACT = 32
    LEAKED_NEAR = 64
    NOT_COMPARED = 128


class Print(NamedTuple):
    """What it takes to find a record's copies, and no more: it goes through many shuffles.

    Attributes:
        id: digest of the file's path, and the record's number in the file.
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
    """How a record relates to the one that it copies.

    Attributes:
        flags: members of `Flag`, joined by `|`.
        other: the original; the lowest id if there are several.
    """

    flags: int
    other: Id


def buckets(one: Print, bands: Iterable[bytes]) -> Iterator[tuple[bytes, Print]]:
    """Yields the record once for each bucket in which its copies may be."""
    yield _EXACT + one.content, one
    for band in bands:
        yield band, one


def related(
    bucket: tuple[bytes, Iterable[Any]], similarity_bound: float
) -> Iterator[tuple[Id, Relation]]:
    """Compares the records of a bucket and yields the copies.

    The bucket is its name and its `Print`s, which may be plain tuples and are iterated over three
    times. From the bound on, the cosine of two sketches makes them near duplicates.
    """
    name, prints = bucket
    if name.startswith(_EXACT):
        yield from _same_content(prints)
    else:
        yield from _near(prints, similarity_bound)


def _in_order(prints: Iterable[Any]) -> Iterator[Print]:
    # Several passes, as a bucket may not fit into memory.
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
            # The first: leaders of test and val come before those of train.
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
    # A plain number: of a member of `Flag`, Beam's coder makes a long pickle.
    return Relation(int(flags), leader.id)


def merge(relations: Iterable[Any]) -> Relation:
    """Joins the `Relation`s, or plain tuples, of one record; associative and commutative."""
    found = [Relation._make(one) for one in relations]
    flags = functools.reduce(operator.or_, (one.flags for one in found), 0)
    # A record left uncompared in one bucket may be a copy in another, which says more.
    copies = [one.other for one in found if one.flags != Flag.NOT_COMPARED]
    return Relation(flags, min(copies or [one.other for one in found]))


def names(flags: int) -> list[str]:
    """Returns the flags' names in lower case, as reports write them."""
    return [flag.name.lower() for flag in Flag if flag & flags and flag.name]


def is_leaked(relation: tuple[int, Id], leaks: Leaks) -> bool:
    """Tells whether a record leaks and is to leave train; `leaks` says which copies do."""
    flags, _ = relation
    exact = Flag.LEAKED_EXACT
    wanted = {"none": 0, "exact": exact, "near": exact | Flag.LEAKED_NEAR}
    return bool(flags & wanted[leaks])


@beam.ptransform_fn
def FindCopies(  # noqa: N802, named as Beam names transforms
    prints: beam.PCollection, similarity_bound: float
) -> beam.PCollection:
    """Finds the copies, as pairs of `Id` and `Relation`, from what `buckets` yields.

    Everything is a plain tuple, which Beam's own coder writes in few bytes.
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
