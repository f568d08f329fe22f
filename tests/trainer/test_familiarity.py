"""Familiarity tells what lies far from train, and means the same share of val in every model."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf

from trainer import familiarity
from trainer.features import UNFAMILIAR_BELOW

Floats = npt.NDArray[np.float32]
DIMENSION = 96


def _drawn(random: np.random.Generator, labels: npt.NDArray[np.int64]) -> Floats:
    """Draws embeddings of classes with a mean each and a few directions that vary."""
    shape = np.random.default_rng(0)
    means = shape.normal(0, 2, (10, DIMENSION))
    directions = shape.normal(0, 1, (8, DIMENSION))
    inner = random.normal(0, 1, (len(labels), 8)) @ directions
    return (means[labels] + inner + random.normal(0, 0.5, inner.shape)).astype(np.float32)


def _rates(found: familiarity.Familiarity, embeddings: Floats) -> Floats:
    rates: Floats = found.rate(tf.constant(embeddings)).numpy()
    assert rates.dtype == np.float32
    assert np.isfinite(rates).all()
    assert ((rates >= 0) & (rates <= 1)).all()
    return rates


@pytest.mark.parametrize("val", [20, 100, 2000])
def test_one_in_twenty_of_val_lies_below_the_threshold(val: int) -> None:
    random = np.random.default_rng(1)
    labels = np.arange(300) % 5
    other = _drawn(random, np.arange(val) % 5)
    found = familiarity.fit(_drawn(random, labels), labels, other)
    assert (_rates(found, other) < UNFAMILIAR_BELOW).mean() == pytest.approx(0.05, abs=0.01)


@pytest.mark.parametrize(("each", "val"), [(1, 2), (4, 5), (12, 12), (100, 100)])
def test_other_classes_and_noise_are_less_familiar(each: int, val: int) -> None:
    random = np.random.default_rng(2)
    labels = np.arange(5 * each) % 5
    found = familiarity.fit(_drawn(random, labels), labels, _drawn(random, np.arange(5 * val) % 5))
    known = _rates(found, _drawn(random, np.arange(200) % 5))
    others = _rates(found, _drawn(random, 5 + np.arange(200) % 5))
    noise = _rates(found, random.normal(0, 20, (200, DIMENSION)).astype(np.float32))
    assert np.median(others) < np.median(known)
    assert (noise < UNFAMILIAR_BELOW).all()
    if each > 1:
        assert (others < UNFAMILIAR_BELOW).mean() > 0.9
        assert (known < UNFAMILIAR_BELOW).mean() < 0.25


@pytest.mark.parametrize("train", [1, 2, 3])
@pytest.mark.parametrize("dimension", [1, 2, 200])
@pytest.mark.parametrize("constant", [True, False])
def test_next_to_no_data_gives_numbers(train: int, dimension: int, constant: bool) -> None:
    random = np.random.default_rng(3)
    rows = random.normal(0, 0 if constant else 1, (train, dimension)).astype(np.float32)
    found = familiarity.fit(rows, np.arange(train) % 2, rows[:1])
    _rates(found, np.concatenate([rows, rows + 1, rows + 1e6]))


def test_what_lies_farther_out_is_less_familiar_without_end() -> None:
    random = np.random.default_rng(4)
    labels = np.arange(200) % 4
    train = _drawn(random, labels)
    found = familiarity.fit(train, labels, _drawn(random, labels[:50]))
    steps = np.linspace(1, 4, 30, dtype=np.float32)[:, None]
    rates = _rates(found, train.mean(axis=0) + steps * (train[0] - train.mean(axis=0)))
    falling = rates[rates.argmax() :]
    assert (np.diff(falling) <= 0).all()
    assert falling[-1] < 1e-3
