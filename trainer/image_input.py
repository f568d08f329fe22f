"""Input of networks that see pixels: encoded images, decoded and augmented on the fly.

Decoded pixels are never stored. The order of the images depends on data and seed only.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from trainer import images
from trainer.augmentation import Augment
from trainer.features import IMAGE, LABEL
from trainer.input import digest, parsed

# Encoded images are kept in memory if they take at most this share of it.
_MEMORY_SHARE = 0.125
_READ_BATCH = 64


class ImageTable:
    """The encoded images of one split, with random access by row.

    Rows are sorted by image fingerprint; `input.EmbeddingTable` explains why. Images lie in a file
    on disk, and in memory too if they fit; labels, fingerprints and offsets in the file take 40
    bytes a row.

    Attributes:
        labels: int64 [rows].
    """

    def __init__(self, patterns: Sequence[str], directory: Path) -> None:
        """Copies the images of transformed examples to a file in `directory`, which is not deleted.

        `patterns` are globs; see `input.parsed`.

        Raises:
            ValueError: there is no example.
        """
        path = directory / f"{hashlib.sha256(repr(patterns).encode()).hexdigest()[:16]}.images"
        digests: list[bytes] = []
        labels: list[npt.NDArray[np.int64]] = []
        lengths: list[int] = []
        with path.open("wb") as file:
            for batch in parsed(patterns, {}):
                encoded = batch[IMAGE].numpy()
                labels.append(batch[LABEL].numpy())
                digests += map(digest, encoded, labels[-1])
                lengths += map(len, encoded)
                file.writelines(encoded)
        if not digests:
            raise ValueError(f"no examples in {', '.join(patterns)}")
        order = np.argsort(np.array(digests), kind="stable")
        self.labels = np.concatenate(labels)[order]
        self._lengths = np.array(lengths, np.int64)[order]
        self._offsets = (np.cumsum(lengths) - lengths)[order]
        self._file = path.open("rb")
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        self.fits_in_memory = bool(sum(lengths) <= _MEMORY_SHARE * memory)

    def __len__(self) -> int:
        """Returns the number of rows."""
        return len(self.labels)

    def read(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.object_]:
        """Reads encoded images: int [n] row numbers to bytes [n]."""
        descriptor = self._file.fileno()
        return np.array(
            [os.pread(descriptor, int(self._lengths[r]), int(self._offsets[r])) for r in rows],
            dtype=object,
        )


def batches(
    table: ImageTable,
    *,
    size: int,
    crop: float,
    batch_size: int,
    weights: npt.NDArray[np.float32],
    drop_remainder: bool = False,
) -> tf.data.Dataset:
    """Returns the batches of one pass over a split, preprocessed as in serving, in table order.

    Args:
        table: the images and labels of the split.
        size: side in pixels to which images are scaled.
        crop: see `images.crop_and_resize`.
        batch_size: images in a batch; the last batch may be smaller.
        weights: float32 [classes], how much an image of each class counts.
        drop_remainder: whether to leave out a smaller last batch. Replicas share each batch, and a
            replica without images would have a loss of 0/0.

    Returns:
        Batches of three: images float32 [batch, size, size, 3] in [0, 255]; soft labels, float32
        [batch, classes]; and how much each image counts, float32 [batch].
    """
    return (
        _encoded(tf.data.Dataset.range(len(table)), table)
        .map(
            lambda row, image, label: (images.square(image, size, crop), label),
            num_parallel_calls=tf.data.AUTOTUNE,
        )
        .batch(batch_size, drop_remainder=drop_remainder)
        .map(lambda image, label: (image, *_target(label, weights)))
        .prefetch(tf.data.AUTOTUNE)
    )


def training_batches(
    table: ImageTable,
    *,
    size: int,
    crop: float,
    area: float,
    batch_size: int,
    weights: npt.NDArray[np.float32],
    augment: Augment,
    seed: int,
    epochs: range,
    drop_remainder: bool = False,
    shard: tuple[int, int] = (0, 1),
) -> tf.data.Dataset:
    """Returns augmented batches of all epochs in turn, each epoch in its own random order.

    The order depends on `seed` and the epoch only, so it is the same after an interruption; the
    augmentation depends on `seed`, not on the number of threads. `batches` explains the results and
    the arguments that both functions have. `images.load_random_part` explains `area`; 1 stands for
    the central square, as in serving. `epochs` holds the numbers of the epochs, from 0. `shard` is
    the index of the part of the table to read, from 0, and the number of parts.
    """

    def epoch(number: tf.Tensor) -> tf.data.Dataset:
        return (
            _encoded(_shuffled(len(table), seed, number).shard(shard[1], shard[0]), table)
            .map(
                lambda row, image, label: (
                    _part(image, size, crop, area, tf.stack([seed + number, row])),
                    label,
                    row,
                ),
                num_parallel_calls=tf.data.AUTOTUNE,
            )
            .batch(batch_size, drop_remainder=drop_remainder)
            # Not in parallel: Keras's layers draw their random numbers one after the other.
            .map(lambda image, label, row: augmented(image, label, [seed + number, row[0]]))
        )

    def augmented(image: tf.Tensor, label: tf.Tensor, batch_seed: Any) -> tuple[tf.Tensor, ...]:
        soft_labels, counts = _target(label, weights)
        return *augment(image, soft_labels, tf.stack(batch_seed)), counts

    numbers = tf.data.Dataset.range(epochs.start, epochs.stop)
    return numbers.flat_map(epoch).prefetch(tf.data.AUTOTUNE)


def _shuffled(rows: int, seed: int, epoch: tf.Tensor) -> tf.data.Dataset:
    epoch_seed = tf.stack([tf.constant(seed, tf.int64), epoch])
    return tf.data.Dataset.range(rows).map(
        lambda place: tf.random.experimental.index_shuffle(place, epoch_seed, rows - 1)
    )


def _part(
    image: tf.Tensor, size: int, crop: float, area: float, image_seed: tf.Tensor
) -> tf.Tensor:
    if area < 1:
        return images.load_random_part(image, size, area, image_seed)
    return images.square(image, size, crop)


def _encoded(rows: tf.data.Dataset, table: ImageTable) -> tf.data.Dataset:
    """Maps each row number to row number, encoded image and label."""
    labels = tf.constant(table.labels)
    if table.fits_in_memory:
        encoded = tf.constant(table.read(np.arange(len(table))))
        return rows.map(lambda row: (row, encoded[row], labels[row]))

    def read(some: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        encoded = tf.numpy_function(table.read, [some], tf.string, stateful=False)
        encoded.set_shape([None])
        return some, encoded, tf.gather(labels, some)

    return rows.batch(_READ_BATCH).map(read).unbatch()


def _target(label: tf.Tensor, weights: npt.NDArray[np.float32]) -> tuple[tf.Tensor, tf.Tensor]:
    return tf.one_hot(label, len(weights)), tf.gather(tf.constant(weights), label)
