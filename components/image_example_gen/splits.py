"""Cuts data that lacks splits, so that no image changes its split as spans arrive.

With a group column, a hash of each group decides. Without, each class of each span is cut by
itself: its images are put in the order of their hashes and dealt out by rank. A span never changes,
so neither does its cut; an image that came in an earlier span of the window keeps that span's
split. Records in quarantine take no part.
"""

from __future__ import annotations

import bisect
import hashlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import apache_beam as beam

from components.image_example_gen.options import ALL

FEWEST = 3
"""A class of a span with so many images has one at least in each split."""
# Fractions of steps that fill an interval evenly, in two dimensions. M. Roberts, "The unreasonable
# effectiveness of quasirandom sequences", 2018. As whole numbers, they are equal on every machine.
_WHOLE = 1 << 32
_STEPS = (3_242_174_889, 2_447_445_414)


@dataclass(frozen=True)
class Cut:
    """How records are cut into splits.

    Attributes:
        names: names of the splits that the cut yields.
        buckets: share of each of them, as a whole number.
        of: the input split that is cut; others stay as they are.
    """

    names: tuple[str, ...]
    buckets: tuple[int, ...]
    of: str = ALL

    def split(self, key: bytes) -> str:
        """Returns the split of a serialised feature, independent of all other records.

        The hash is that of TFX's ExampleGen: SHA-256.
        """
        ends = list(itertools.accumulate(self.buckets))
        bucket = int(hashlib.sha256(key).hexdigest(), 16) % ends[-1]
        return self.names[bisect.bisect(ends, bucket)]

    def deal(self, images: Iterable[bytes], span: int, label: int) -> Iterator[tuple[bytes, str]]:
        """Yields the images of a class of a span, hashes without repetition, with their splits."""
        ordered = sorted(images)
        counts = counts_of(len(ordered), self.buckets, span, label)
        names = (itertools.repeat(*pair) for pair in zip(self.names, counts, strict=True))
        return zip(ordered, itertools.chain.from_iterable(names), strict=True)


def counts_of(images: int, shares: Sequence[int], span: int, label: int) -> list[int]:
    """Returns how many images of a class of a span go to each split.

    Each split gets its share, rounded down or up. What is rounded up depends on span and class so
    that small classes come to their shares over all classes and spans; the rest is even. From three
    images on, each of up to three splits has one at least.
    """
    start = (span * _STEPS[0] + label * _STEPS[1]) % _WHOLE
    ends = [
        (images * end * _WHOLE // sum(shares) + start) // _WHOLE
        for end in itertools.accumulate(shares)
    ]
    counts = [end - before for before, end in itertools.pairwise([0, *ends])]
    if images >= max(FEWEST, len(shares)):
        for index in range(len(counts)):
            if not counts[index]:
                counts[counts.index(max(counts))] -= 1
                counts[index] = 1
    return counts


@beam.ptransform_fn
def Settle(  # noqa: N802, named as Beam names transforms
    images: beam.PCollection, cut: Cut
) -> beam.PCollection:
    """Returns the split of each image as pairs of content and split.

    `images` are pairs of (span, content) and class id, of all records to be cut; content is a
    digest of an image. If a span has an image more than once, its lowest class id counts.
    """
    return (
        images
        | "OncePerSpan" >> beam.CombinePerKey(min)
        | "ByClass" >> beam.Map(lambda one: ((one[0][0], one[1]), one[0][1]))
        | "GroupByClass" >> beam.GroupByKey()
        | "Deal" >> beam.FlatMap(_deal, cut)
        | "EarliestSpan" >> beam.CombinePerKey(min)
        | "Split" >> beam.Map(lambda one: (one[0], one[1][1]))
    )


def _deal(
    group: tuple[tuple[int, int], Iterable[bytes]], cut: Cut
) -> Iterator[tuple[bytes, tuple[int, str]]]:
    (span, label), images = group
    for content, split in cut.deal(images, span, label):
        yield content, (span, split)
