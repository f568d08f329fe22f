"""Labels that were flipped are found, and next to nothing breaks on next to no data."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from components.suspects import search


def _drawn(rows: int, classes: int, seed: int) -> tuple[npt.NDArray[np.float32], search.Ints]:
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, rows)
    means = random.normal(0, 1, (classes, 40))
    return (means[labels] + random.normal(0, 0.7, (rows, 40))).astype(np.float32), labels


@pytest.mark.parametrize("rows", [120, 1000])
def test_flipped_labels_are_the_most_suspect(rows: int) -> None:
    embeddings, labels = _drawn(rows, 4, seed=1)
    random = np.random.default_rng(2)
    flipped = random.choice(rows, rows // 20, replace=False)
    given = labels.copy()
    given[flipped] = (labels[flipped] + random.integers(1, 4, len(flipped))) % 4
    found = search.doubts(embeddings, given)
    first = [one.row for one in found[: len(flipped)]]
    assert len(set(first) & set(flipped)) >= 0.8 * len(flipped)
    for one in found:
        assert one.suggested != given[one.row]
        assert 0 <= one.confidence <= 1
    right = [one.suggested == labels[one.row] for one in found if one.row in set(flipped)]
    assert np.mean(right) > 0.9
    confidences = [one.confidence for one in found]
    assert confidences == sorted(confidences)


def test_class_ids_need_not_be_without_gaps() -> None:
    embeddings, labels = _drawn(200, 2, seed=3)
    given = np.where(labels == 0, 3, 9)
    given[:5] = np.where(given[:5] == 3, 9, 3)
    found = search.doubts(embeddings, given)
    assert len({one.row for one in found[:5]} & set(range(5))) >= 4
    assert {one.suggested for one in found} <= {3, 9}


@pytest.mark.parametrize(
    "labels", [[], [0], [0, 0, 0], [0, 1], [0, 1, 2], [0, 0, 1], [0, 0, 1, 1], [0] * 9 + [1, 2, 2]]
)
def test_too_few_images_give_no_error(labels: list[int]) -> None:
    embeddings = np.random.default_rng(4).normal(0, 1, (len(labels), 8)).astype(np.float32)
    found = search.doubts(embeddings, np.array(labels, np.int64))
    assert all(labels.count(labels[one.row]) > 1 for one in found)


def test_embeddings_that_do_not_differ_give_no_error() -> None:
    search.doubts(np.ones((20, 8), np.float32), np.arange(20) % 2)
