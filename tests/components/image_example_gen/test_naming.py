"""A name leads people to an image, whatever the data calls it and wherever it lies."""

from __future__ import annotations

import pytest

from components.image_example_gen import naming
from tests.conftest import Record


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/data/span-3/train/a.tfrecord.gz", "span-3/train/a.tfrecord.gz:17"),
        ("gs://bucket/span-3/a.tfrecord", "span-3/a.tfrecord:17"),
        ("/data/span-1/copies/span-12/a.tfrecord", "span-12/a.tfrecord:17"),
        ("/data/birds/a.tfrecord", "birds/a.tfrecord:17"),
        ("/data/my-span-3/a.tfrecord", "my-span-3/a.tfrecord:17"),
        ("a.tfrecord", "a.tfrecord:17"),
        ("/data/span-3/caf\udce9.tfrecord", "span-3/caf\N{REPLACEMENT CHARACTER}.tfrecord:17"),
    ],
)
def test_a_place_starts_at_the_span_or_at_the_folder(path: str, place: str) -> None:
    assert naming.place(path, 17) == place


def test_a_record_tells_its_own_name_if_it_has_one(record: Record) -> None:
    assert naming.given(record(b"image", 0, image__filename="cats/1.jpg")) == "cats/1.jpg"
    assert naming.given(record(b"image", 0, image__filename="")) == ""
    assert naming.given(record(b"image", 0)) == ""
    assert naming.given(b"no example") == ""
