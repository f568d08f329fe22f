"""What a network learns on: serving's pixels, in an order that data and seed alone decide."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf

from tests.conftest import SIZE, Transformed
from trainer import image_input, images
from trainer.image_input import ImageTable

WEIGHTS = np.array([1, 2, 3], np.float32)
CROP = 0.8


@pytest.fixture
def table(transformed: Transformed, tmp_path: Path) -> ImageTable:
    return ImageTable([transformed.files], tmp_path)


def _training(table: ImageTable, **changes: Any) -> list[tuple[npt.NDArray[Any], ...]]:
    options = {
        "size": SIZE,
        "crop": CROP,
        "area": 1.0,
        "batch_size": 4,
        "weights": WEIGHTS,
        "augment": lambda image, shares, seed: (image, shares),
        "seed": 5,
        "epochs": range(2),
        **changes,
    }
    dataset = image_input.training_batches(table, **options)
    return [tuple(part.numpy() for part in batch) for batch in dataset]


def test_a_table_holds_the_images_and_labels_that_transform_wrote(
    table: ImageTable, transformed: Transformed
) -> None:
    rows = np.arange(len(table))
    assert sorted(table.read(rows)) == sorted(transformed.images.values())
    numbers = {image: number % 3 for number, image in enumerate(transformed.images.values())}
    assert [numbers[image] for image in table.read(rows)] == table.labels.tolist()


@pytest.mark.parametrize("fits", [True, False])
def test_pixels_are_those_that_serving_sees(table: ImageTable, fits: bool) -> None:
    """JPEG, PNG, GIF, BMP, grey, RGBA and odd sizes: see the fixture `pictures`."""
    table.fits_in_memory = fits
    batches = image_input.batches(table, size=SIZE, crop=CROP, batch_size=4, weights=WEIGHTS)
    pixels, shares, weights = map(np.concatenate, zip(*batches, strict=True))
    rows = np.arange(len(table))
    expected = images.load(tf.constant(table.read(rows)), SIZE, CROP).numpy()
    np.testing.assert_allclose(pixels, expected, atol=1e-4)
    np.testing.assert_array_equal(shares, np.eye(3)[table.labels])
    np.testing.assert_array_equal(weights, WEIGHTS[table.labels])
    trained = np.concatenate([batch[0] for batch in _training(table, epochs=range(1))])
    key = sorted(range(len(trained)), key=lambda row: trained[row].tobytes())
    other = sorted(range(len(expected)), key=lambda row: expected[row].tobytes())
    np.testing.assert_allclose(trained[key], expected[other], atol=1e-4)


@pytest.mark.parametrize("fits", [True, False])
def test_order_and_crops_follow_from_the_seed(table: ImageTable, fits: bool) -> None:
    table.fits_in_memory = fits
    first, again = _training(table, area=0.5), _training(table, area=0.5)
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one[0], two[0])
    other = _training(table, area=0.5, seed=6)
    assert not np.array_equal(first[0][0], other[0][0])


def test_a_continued_training_sees_what_it_would_have_seen(table: ImageTable) -> None:
    whole, rest = (
        _training(table, area=0.5, epochs=range(3)),
        _training(table, area=0.5, epochs=range(1, 3)),
    )
    assert len(whole) == 3 * len(rest) / 2
    for one, two in zip(whole[-len(rest) :], rest, strict=True):
        np.testing.assert_array_equal(one[0], two[0])
    assert not np.array_equal(whole[0][0], rest[0][0])


def test_a_random_crop_keeps_a_part_of_the_image(table: ImageTable) -> None:
    one, two = _training(table, epochs=range(1)), _training(table, epochs=range(1), area=0.3)
    assert not np.allclose(one[0][0], two[0][0])
    assert min(batch[0].min() for batch in two) >= 0
    assert max(batch[0].max() for batch in two) <= 255


def test_shards_share_the_rows_among_them(table: ImageTable) -> None:
    shards = [_training(table, epochs=range(1), shard=(part, 2)) for part in range(2)]
    sizes = [sum(len(batch[0]) for batch in shard) for shard in shards]
    assert sum(sizes) == len(table)
    assert max(sizes) - min(sizes) <= 1


def test_even_batches_are_all_of_one_size(table: ImageTable) -> None:
    assert {len(batch[0]) for batch in _training(table, drop_remainder=True)} == {4}
    batches = image_input.batches(
        table, size=SIZE, crop=CROP, batch_size=4, weights=WEIGHTS, drop_remainder=True
    )
    assert [len(batch[0]) for batch in batches] == [4] * (len(table) // 4)


def test_without_examples_the_message_says_where(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no examples in .*nothing"):
        ImageTable([f"{tmp_path}/nothing*"], tmp_path)
