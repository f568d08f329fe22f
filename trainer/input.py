"""Input of a head: embeddings, in an order that depends on data and seed only."""

from __future__ import annotations

import hashlib
import heapq
import math
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from trainer.features import EMBEDDING_PREFIX, IMAGE, LABEL

_READ_BATCH = 256
_MEMORY = 256 * 2**20
_CONTRACT = {
    IMAGE: tf.io.FixedLenFeature([], tf.string),
    LABEL: tf.io.FixedLenFeature([], tf.int64),
}


class EmbeddingTable:
    """The embeddings of one split, with random access by row.

    Rows are sorted by image fingerprint: Beam shuffles examples and cuts them into shards anew in
    every run, and a model must not depend on that. Embeddings of up to 256 MiB stay in memory; more
    lie in a temporary file, so that memory does not grow with the data.

    Attributes:
        labels: int64 [rows].
        dimension: length of an embedding.
    """

    def __init__(self, patterns: Sequence[str], embedding: str, directory: Path) -> None:
        """Copies the feature `embedding` of transformed examples.

        `patterns` are globs; see `parsed`. The temporary file lies in `directory`.

        Raises:
            ValueError: there is no example, or embeddings are missing or differ in length.
        """
        digests: list[bytes] = []
        labels: list[npt.NDArray[np.int64]] = []
        lengths: set[int] = set()
        # The file stays open as long as the table exists, so no `with` block closes it.
        self._file = tempfile.SpooledTemporaryFile(_MEMORY, dir=str(directory))  # noqa: SIM115
        self._lock = threading.Lock()  # reading takes two calls, and Keras reads in a thread
        for batch in parsed(patterns, {embedding: tf.io.RaggedFeature(tf.float32)}):
            lengths |= set(batch[embedding].row_lengths().numpy().tolist())
            if len(lengths) > 1 or 0 in lengths:
                found = ", ".join(map(str, sorted(lengths)))
                raise ValueError(
                    f"{embedding}: found {found} values; allowed: equally many in every example"
                )
            labels.append(batch[LABEL].numpy())
            digests += map(digest, batch[IMAGE].numpy(), labels[-1])
            self._file.write(batch[embedding].to_tensor().numpy().tobytes())
        if not digests:
            raise ValueError(f"no examples in {', '.join(patterns)}")
        (self.dimension,) = lengths
        self._order = np.argsort(np.array(digests), kind="stable")
        self.labels = np.concatenate(labels)[self._order]

    def __len__(self) -> int:
        """Returns the number of rows."""
        return len(self.labels)

    def read(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Reads embeddings: int [n] row numbers to float32 [n, dimension]."""
        size = 4 * self.dimension
        content = bytearray()
        with self._lock:
            for row in rows:
                self._file.seek(int(self._order[row]) * size)
                content += self._file.read(size)
        return np.frombuffer(content, np.float32).reshape(len(rows), self.dimension)


def digest(image: bytes, label: np.int64) -> bytes:
    """Returns the image fingerprint: 16 bytes of image and label, by which tables are sorted."""
    return hashlib.blake2b(image, digest_size=16, salt=label.tobytes()).digest()


def parsed(patterns: Sequence[str], features: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Reads transformed examples in batches.

    Args:
        patterns: globs of gzipped TFRecord files that Transform wrote.
        features: specifications of features to parse beside image and label, by name.

    Yields:
        One batch at a time: tensors by the features' names.
    """
    for serialized in _records(patterns).batch(_READ_BATCH):
        yield tf.io.parse_example(serialized, {**_CONTRACT, **features})


def embedding_name(patterns: Sequence[str]) -> str | None:
    """Returns the name of the feature that holds embeddings; None without one or any example.

    `patterns` are globs; see `parsed`.
    """
    for record in _records(patterns).take(1):
        names = tf.train.Example.FromString(record.numpy()).features.feature
        return next((name for name in names if name.startswith(EMBEDDING_PREFIX)), None)
    return None


def _records(patterns: Sequence[str]) -> tf.data.TFRecordDataset:
    files = [name for pattern in patterns for name in sorted(tf.io.gfile.glob(pattern))]
    return tf.data.TFRecordDataset(tf.constant(files, tf.string), compression_type="GZIP")


class Batches(keras.utils.PyDataset):
    """Batches of a table for `Model.fit`, each a tuple of three.

    Embeddings, float32 [batch, dimension]; soft labels, float32 [batch, classes]; and row weights,
    float32 [batch].
    """

    def __init__(
        self,
        table: EmbeddingTable,
        batch_size: int,
        seed: int | None,
        weights: npt.NDArray[np.float32],
    ) -> None:
        """Prepares the first epoch, whose last batch may be smaller.

        Rows are shuffled anew for each epoch by `seed`; if it is None, they keep the table's order.
        `weights` holds the weight of a row of each class, float32 [classes].
        """
        super().__init__()
        self._table = table
        self._batch_size = batch_size
        self._weights = weights
        self._soft_labels = np.eye(len(weights), dtype=np.float32)
        self._random = None if seed is None else np.random.default_rng(seed)
        self._rows = np.arange(len(table))
        self.on_epoch_end()

    def __len__(self) -> int:
        """Returns the number of batches in an epoch."""
        return math.ceil(len(self._table) / self._batch_size)

    def __getitem__(self, index: int) -> tuple[npt.NDArray[np.float32], ...]:
        """Reads one batch."""
        rows = self._rows[index * self._batch_size : (index + 1) * self._batch_size]
        labels = self._table.labels[rows]
        return self._table.read(rows), self._soft_labels[labels], self._weights[labels]

    def on_epoch_end(self) -> None:
        """Shuffles the rows for the next epoch, if there is a seed."""
        if self._random is not None:
            self._random.shuffle(self._rows)


def sample_images(patterns: Sequence[str], count: int) -> list[bytes]:
    """Reads at most `count` encoded images: always the same ones, whatever order Beam wrote.

    `patterns` are globs; see `parsed`. Memory holds these images and one batch of others.
    """
    found = (image for batch in parsed(patterns, {}) for image in batch[IMAGE].numpy())
    return heapq.nsmallest(count, found, key=lambda image: digest(image, np.int64(0)))


def sample_examples(
    patterns: Sequence[str], count: int
) -> Iterator[tuple[list[bytes], list[bytes], npt.NDArray[np.int64]]]:
    """Reads about `count` transformed examples: always the same ones, whatever order Beam wrote.

    `patterns` are globs; see `parsed`. Memory holds the fingerprints of all and one batch of the
    examples.

    Yields:
        One batch at a time: fingerprints, by which to sort; serialized examples; and class ids.
    """
    digests = [one for _, found, _ in _digested(patterns) for one in found]
    if not digests:
        return
    last = heapq.nsmallest(count, digests)[-1]
    for serialized, found, labels in _digested(patterns):
        chosen = [row for row, one in enumerate(found) if one <= last]
        if chosen:
            yield (
                [found[row] for row in chosen],
                [serialized[row] for row in chosen],
                labels[chosen],
            )


def _digested(
    patterns: Sequence[str],
) -> Iterator[tuple[list[bytes], list[bytes], npt.NDArray[np.int64]]]:
    """Yields batches of serialized examples, their fingerprints and their class ids."""
    for batch in _records(patterns).batch(_READ_BATCH):
        one = tf.io.parse_example(batch, _CONTRACT)
        labels = one[LABEL].numpy()
        yield list(batch.numpy()), list(map(digest, one[IMAGE].numpy(), labels)), labels
