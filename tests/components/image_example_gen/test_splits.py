"""A cut gives each split its share of each class, and depends on one span only."""

from __future__ import annotations

import hashlib
import itertools

import apache_beam as beam
import pytest
from apache_beam.testing.test_pipeline import TestPipeline
from apache_beam.testing.util import assert_that, equal_to
from hypothesis import given
from hypothesis import strategies as st

from components.image_example_gen.splits import Cut, Settle, counts_of

SHARES = (70, 15, 15)
CUT = Cut(("train", "val", "test"), SHARES)


@given(
    images=st.integers(0, 5000),
    shares=st.lists(st.integers(1, 10_000), min_size=2, max_size=3),
    span=st.integers(0, 10**6),
    label=st.integers(0, 10**4),
)
def test_each_split_of_a_class_has_its_share(
    images: int, shares: list[int], span: int, label: int
) -> None:
    counts = counts_of(images, shares, span, label)
    assert sum(counts) == images
    assert images < 3 or min(counts) >= 1
    for count, share in zip(counts, shares, strict=True):
        quota = images * share / sum(shares)
        # Up to two splits that would be empty get an image from the largest.
        assert abs(count - quota) < 1 or (images >= 3 and abs(count - quota) <= 3)


@pytest.mark.parametrize("images", [1, 2])
def test_tiny_classes_come_to_their_shares_over_classes_and_over_spans(images: int) -> None:
    over_classes = [counts_of(images, SHARES, 0, label) for label in range(200)]
    over_spans = [counts_of(images, SHARES, span, 0) for span in range(200)]
    for counts in (over_classes, over_spans):
        totals = [sum(column) for column in zip(*counts, strict=True)]
        for total, share in zip(totals, SHARES, strict=True):
            assert total == pytest.approx(2 * images * share, abs=4)


def _content(number: int) -> bytes:
    return hashlib.sha256(str(number).encode()).digest()[:16]


def test_images_are_dealt_in_the_order_of_their_hashes_whatever_their_own_order() -> None:
    images = [_content(number) for number in range(100)]
    dealt = dict(CUT.deal(images, 4, 2))
    assert dict(CUT.deal(reversed(images), 4, 2)) == dealt
    splits = [dealt[image] for image in sorted(images)]
    assert [name for name, _ in itertools.groupby(splits)] == ["train", "val", "test"]


def test_an_image_keeps_the_split_of_its_earliest_span() -> None:
    spans = {
        0: [(number, number % 2) for number in range(40)],
        1: [(number, 1) for number in range(20, 80)],
    }
    expected = {}
    for span in (1, 0):
        for label in (0, 1):
            images = [_content(number) for number, own in spans[span] if own == label]
            expected.update(CUT.deal(images, span, label))
    # Twice, as in a span that has an image twice.
    found = [
        ((span, _content(number)), label)
        for span, images in spans.items()
        for number, label in images * 2
    ]
    with TestPipeline() as pipeline:
        settled = pipeline | beam.Create(found) | Settle(CUT)
        assert_that(settled, equal_to(list(expected.items())))


def test_a_span_is_cut_alike_with_and_without_others() -> None:
    images = [_content(number) for number in range(30)]
    with TestPipeline() as pipeline:
        both = pipeline | beam.Create(
            [((0, _content(-number)), 0) for number in range(1, 30)]
            + [((1, image), 0) for image in images]
        )
        later = both | Settle(CUT) | beam.Filter(lambda one: one[0] in set(images))
        assert_that(later, equal_to(list(CUT.deal(images, 1, 0))))


def test_an_image_of_two_classes_in_one_span_has_one_split() -> None:
    with TestPipeline() as pipeline:
        images = [((0, _content(1)), 1), ((0, _content(1)), 0)]
        settled = pipeline | beam.Create(images) | Settle(CUT) | beam.Keys()
        assert_that(settled, equal_to([_content(1)]))
