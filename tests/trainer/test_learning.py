"""The head learns, stops at its best epoch, and learns the same thing again from the same seed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pytest

from trainer import learning
from trainer.job import Job
from trainer.options.export import Export
from trainer.options.training import Trainer
from trainer.preprocessing import Recipe

pytestmark = pytest.mark.slow


class Memory:
    """A table in memory: `fit_head` asks no more of an `EmbeddingTable` than this."""

    def __init__(self, embeddings: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> None:
        """Holds the rows."""
        self.embeddings, self.labels = embeddings, labels
        self.dimension = embeddings.shape[1]
        self.reads: list[list[int]] = []

    def __len__(self) -> int:
        """Counts the rows."""
        return len(self.labels)

    def read(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        self.reads.append([int(row) for row in rows])
        return self.embeddings[rows]


CHANGES = {
    "epochs": 12,
    "batch_size": 16,
    "learning_rate": 0.05,
    "schedule": "constant",
    "hidden_units": None,
    "dropout": 0.1,
    "patience": 12,
    "seed": 5,
}


def _blobs(count: int, seed: int, noise: float = 0.3) -> Memory:
    """Three classes that lie apart from each other."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 3, count)
    embeddings = 2 * np.eye(3, 6)[labels] + noise * random.normal(size=(count, 6)) + 4
    return Memory(embeddings.astype(np.float32), labels)


def _job(**changes: Any) -> Job:
    """A job for the three classes; `changes` are to `CHANGES`."""
    recipe = Recipe(
        size=32,
        crop=1.0,
        backbone="efficientnet_lite0",
        weights="none",
        labels=("a", "b", "c"),
        slices=(),
        fingerprint="test",
    )
    return Job(recipe=recipe, trainer=Trainer(**{**CHANGES, **changes}), export=Export())


def _fit(tmp_path: Path, learn: Memory | None = None, val: Memory | None = None, **changes: Any):
    job = _job(**changes)
    keras.utils.set_random_seed(job.trainer.seed)  # as `learn` does
    learn = learn if learn is not None else _blobs(120, 0)
    val = val if val is not None else _blobs(60, 1)
    weights = np.ones(3, np.float32)
    return learning.fit_head(learn, val, weights, job, str(tmp_path))  # type: ignore[arg-type]


def _accuracy(model: keras.Model, table: Memory) -> float:
    logits = np.asarray(model(table.embeddings, training=False))
    return float((logits.argmax(axis=1) == table.labels).mean())


def _loss(model: keras.Model, table: Memory) -> float:
    logits = np.asarray(model(table.embeddings, training=False))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return float(loss(table.labels, logits))


@pytest.mark.parametrize(
    ("optimizer", "schedule"), [("adam", "cosine"), ("rmsprop", "constant"), ("sgd", "cosine")]
)
def test_each_optimizer_and_schedule_learns_what_can_be_learnt(
    tmp_path: Path, optimizer: str, schedule: str
) -> None:
    model = _fit(tmp_path, optimizer=optimizer, schedule=schedule)
    assert _accuracy(model, _blobs(200, 2)) > 0.97


@pytest.mark.parametrize("changes", [{"hidden_units": 16, "normalize": False}])
def test_another_shape_of_head_learns_too(tmp_path: Path, changes: dict[str, Any]) -> None:
    model = _fit(tmp_path, **changes)
    assert _accuracy(model, _blobs(200, 2)) > 0.95


def _overfit(tmp_path: Path, **changes: Any) -> tuple[list[float], float]:
    """Learns random labels: soon, what is learnt by heart makes val worse.

    Returns:
        The loss on val after each epoch, and that of the model in the end.
    """
    random = np.random.default_rng(0)
    learn = Memory(random.normal(size=(40, 30)).astype(np.float32), random.integers(0, 3, 40))
    val = Memory(random.normal(size=(40, 30)).astype(np.float32), random.integers(0, 3, 40))
    model = _fit(tmp_path, learn, val, dropout=0.0, **changes)
    return model.history.history["val_loss"], _loss(model, val)


def test_training_stops_and_gives_the_weights_of_the_best_epoch(tmp_path: Path) -> None:
    losses, loss = _overfit(tmp_path, epochs=40, patience=4)
    best = int(np.argmin(losses))
    assert len(losses) == best + 1 + 4 < 40
    assert losses[-1] > losses[best] + 0.01
    assert loss == pytest.approx(losses[best], rel=1e-4)


def test_the_best_epoch_counts_where_training_ends_before_patience_does(tmp_path: Path) -> None:
    losses, loss = _overfit(tmp_path, epochs=8, patience=100)
    assert len(losses) == 8
    assert losses[-1] > min(losses) + 0.01
    assert loss == pytest.approx(min(losses), rel=1e-4)


def test_one_seed_gives_one_model(tmp_path: Path) -> None:
    changes = {"hidden_units": 8, "epochs": 3, "dropout": 0.5}
    first, again = _fit(tmp_path, **changes), _fit(tmp_path, **changes)
    for one, two in zip(first.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    other = _fit(tmp_path, **changes, seed=6)
    assert not np.array_equal(first.get_weights()[-2], other.get_weights()[-2])


def test_every_epoch_reads_each_row_once_in_an_order_of_its_own(tmp_path: Path) -> None:
    learn = _blobs(50, 0)
    _fit(tmp_path, learn, epochs=3)
    # The first read is for the normalisation, and Keras looks at some batches for their shapes.
    rows = [row for batch in learn.reads for row in batch][-150:]
    epochs = [rows[start : start + 50] for start in (0, 50, 100)]
    assert [sorted(epoch) for epoch in epochs] == [list(range(50))] * 3
    assert len({tuple(epoch) for epoch in epochs}) == 3
    assert list(tmp_path.rglob("events.out.tfevents.*")), "TensorBoard has nothing to show"


def test_one_row_and_batches_larger_than_the_data_are_enough(tmp_path: Path) -> None:
    model = _fit(tmp_path, _blobs(1, 0), _blobs(1, 1), epochs=2, batch_size=64)
    assert model.output_shape == (None, 3)
    assert np.isfinite(np.asarray(model(_blobs(4, 2).embeddings))).all()
