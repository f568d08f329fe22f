"""Augmentation changes what it is asked to, keeps pixels pixels, and follows its seed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf
from PIL import Image

from trainer import augmentation, contact_sheet, rand_augment
from trainer.options.augmentation import Augmentation

pytestmark = pytest.mark.slow

NOTHING = {"flip": "none", "translation": 0.0}
IMAGES = np.random.default_rng(0).uniform(0, 255, (6, 16, 20, 3)).astype(np.float32)
SHARES = np.eye(6, dtype=np.float32)


def _augment(seed: int = 3, **changes: Any) -> tuple[npt.NDArray[np.float32], ...]:
    augment = augmentation.build(Augmentation(**{**NOTHING, **changes}), seed)
    dataset = tf.data.Dataset.from_tensors((IMAGES, SHARES)).map(
        lambda images, shares: augment(images, shares, tf.constant([seed, 0], tf.int64))
    )
    images, shares = next(iter(dataset))
    return images.numpy(), shares.numpy()


def test_without_augmentation_nothing_changes() -> None:
    images, shares = _augment()
    np.testing.assert_array_equal(images, IMAGES)
    np.testing.assert_array_equal(shares, SHARES)


@pytest.mark.parametrize(
    "changes",
    [
        {"rotation": 30.0},
        {"zoom": 0.3},
        {"translation": 0.3},
        {"brightness": 0.5},
        {"contrast": 0.5},
        {"rand_augment_layers": 2, "rand_augment_magnitude": 0.9},
        {"mixup": 0.4},
        {"cutmix": 1.0},
        {"mixup": 0.4, "cutmix": 1.0},
    ],
)
def test_each_kind_changes_images_and_keeps_them_images(changes: dict[str, Any]) -> None:
    images, shares = _augment(**changes)
    assert images.shape == IMAGES.shape
    assert not np.allclose(images, IMAGES)
    assert images.min() >= 0
    assert images.max() <= 255
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-5)
    mixes = "mixup" in changes or "cutmix" in changes
    assert np.array_equal(shares, SHARES) is not mixes
    again, _ = _augment(**changes)
    np.testing.assert_array_equal(images, again)
    other, _ = _augment(seed=4, **changes)
    assert not np.array_equal(images, other)


def test_a_flip_mirrors_some_images_and_leaves_the_others() -> None:
    images, _ = _augment(flip="horizontal")
    mirrored = [np.array_equal(new, old[:, ::-1]) for new, old in zip(images, IMAGES, strict=True)]
    same = [np.array_equal(new, old) for new, old in zip(images, IMAGES, strict=True)]
    assert any(mirrored)
    assert all(one or other for one, other in zip(mirrored, same, strict=True))


def test_both_flips_toss_a_coin_for_each_axis() -> None:
    seen = set()
    for seed in range(6):
        images, _ = _augment(seed=seed, flip="both")
        for new, old in zip(images, IMAGES, strict=True):
            for down, right in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
                if np.array_equal(new, old[::down, ::right]):
                    seen.add((down, right))
    assert seen == {(1, 1), (1, -1), (-1, 1), (-1, -1)}


def test_every_kind_draws_numbers_of_its_own() -> None:
    options = Augmentation(flip="both", rotation=20, zoom=0.2, brightness=0.1)
    layers = augmentation._layers(options, 3)
    assert len({layer.seed for layer in layers}) == len(layers) == 6


def test_mixup_blends_labels_as_it_blends_images() -> None:
    flat = np.repeat(np.arange(6, dtype=np.float32), 16 * 20 * 3).reshape(IMAGES.shape)
    images, shares = augmentation.mixup(flat, SHARES, 0.4, tf.constant([1, 2], tf.int64))
    # Image n is n everywhere, so its mean says how much of which is in it.
    np.testing.assert_allclose(
        images.numpy().mean(axis=(1, 2, 3)), shares.numpy() @ np.arange(6), rtol=1e-4, atol=1e-4
    )


def test_cutmix_counts_labels_by_area() -> None:
    flat = np.repeat(np.arange(6, dtype=np.float32), 16 * 20 * 3).reshape(IMAGES.shape)
    images, shares = augmentation.cutmix(flat, SHARES, 1.0, tf.constant([1, 2], tf.int64))
    np.testing.assert_allclose(
        images.numpy().mean(axis=(1, 2, 3)), shares.numpy() @ np.arange(6), rtol=1e-4, atol=1e-4
    )
    assert set(np.unique(images)) <= set(range(6))


@pytest.mark.parametrize("operation", rand_augment._OPERATIONS)
def test_no_operation_of_rand_augment_does_anything_at_strength_0(operation: Any) -> None:
    result = operation(tf.constant(IMAGES[0]), tf.constant(0.0)).numpy()
    if operation is rand_augment._autocontrast:  # which has no strength
        assert (result.min(), result.max()) == (0, 255)
    else:
        np.testing.assert_allclose(np.floor(result), np.floor(IMAGES[0]), atol=1.0)


def test_the_contact_sheet_shows_every_image(tmp_path: Path) -> None:
    colours = np.zeros((5, 8, 8, 3), np.float32) + np.arange(5)[:, None, None, None] * 40
    path = tmp_path / "sheet.png"
    contact_sheet.write(colours, str(path))
    sheet = np.asarray(Image.open(path))
    assert sheet.shape == (20, 30, 3)
    assert [sheet[r + 4, c + 4, 0] for r in (0, 10) for c in (0, 10, 20)] == [
        *(0, 40, 80, 120, 160),
        255,
    ]
