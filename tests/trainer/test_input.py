"""What the Trainer reads depends on the data and the seed alone, never on Beam's shards."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import conftest
from tests.conftest import Transformed
from trainer.input import Batches, EmbeddingTable, sample_images

EMBEDDING = "embedding/test"
DIMENSION = 3
WEIGHTS = np.array([1, 2, 3, 4], np.float32)
Row = tuple[bytes, int, list[float]]


def _rows(count: int) -> list[Row]:
    return [(f"image {n}".encode(), n % 4, [n, n + 0.5, -n]) for n in range(count)]


def _write(path: Path, rows: Sequence[Row]) -> None:
    with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
        for image, label, embedding in rows:
            features = {
                "image/encoded": tf.train.Feature(bytes_list=tf.train.BytesList(value=[image])),
                "image/class/label": tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
                EMBEDDING: tf.train.Feature(float_list=tf.train.FloatList(value=embedding)),
            }
            example = tf.train.Example(features=tf.train.Features(feature=features))
            writer.write(example.SerializeToString())


Table = Callable[[Sequence[Sequence[Row]]], EmbeddingTable]


@pytest.fixture
def table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    """Writes shards and reads them back as a table."""

    def build(shards: Sequence[Sequence[Row]]) -> EmbeddingTable:
        folder = tmp_path_factory.mktemp("shards")
        for number, rows in enumerate(shards):
            _write(folder / f"part-{number}.gz", rows)
        return EmbeddingTable([f"{folder}/part-*.gz"], EMBEDDING, folder)

    return build


def _content(table: EmbeddingTable) -> list[tuple[int, tuple[float, ...]]]:
    embeddings = table.read(np.arange(len(table)))
    return [
        (int(label), tuple(map(float, embedding)))
        for label, embedding in zip(table.labels, embeddings, strict=True)
    ]


def test_a_table_holds_every_row_with_its_label(table: Table) -> None:
    rows = _rows(600)  # more than are read at once
    content = table([rows[:250], [], rows[250:]])
    assert len(content) == 600
    assert content.dimension == DIMENSION
    assert content.labels.dtype == np.int64
    assert content.read(np.array([5])).dtype == np.float32
    expected = {(label, tuple(embedding)) for _, label, embedding in rows}
    assert set(_content(content)) == expected


def test_a_table_reads_what_transform_wrote(transformed: Transformed, tmp_path: Path) -> None:
    content = EmbeddingTable([transformed.files], transformed.recipe.embedding, tmp_path)
    assert (len(content), content.dimension) == (len(transformed.images), conftest.DIMENSION)
    found = sorted(map(tuple, content.read(np.arange(len(content)))))
    expected = sorted(
        tuple(example.features.feature[transformed.recipe.embedding].float_list.value)
        for example in transformed.examples
    )
    np.testing.assert_array_equal(found, expected)


def test_rows_can_be_read_in_any_order_and_more_than_once(table: Table) -> None:
    content = table([_rows(9)])
    everything = content.read(np.arange(9))
    wanted = np.array([8, 0, 3, 3])
    np.testing.assert_array_equal(content.read(wanted), everything[wanted])
    assert content.read(np.array([], np.int64)).shape == (0, DIMENSION)


def test_a_table_that_outgrows_its_memory_holds_the_same(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = _content(table([_rows(9)]))
    monkeypatch.setattr("trainer.input._MEMORY", 100)
    assert _content(table([_rows(9)])) == small


@settings(max_examples=10, deadline=None)
@given(order=st.permutations(range(12)), cuts=st.sets(st.integers(0, 12), max_size=3))
def test_the_order_of_rows_does_not_depend_on_files_and_shards(
    order: list[int], cuts: set[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    rows = _rows(12)
    contents = []
    for number, (sequence, bounds) in enumerate(
        ((list(range(12)), [0, 12]), (order, [0, *sorted(cuts), 12]))
    ):
        folder = tmp_path_factory.mktemp(f"order-{number}")
        for shard, (start, end) in enumerate(itertools.pairwise(bounds)):
            _write(folder / f"{shard}.gz", [rows[row] for row in sequence[start:end]])
        contents.append(_content(EmbeddingTable([f"{folder}/*.gz"], EMBEDDING, folder)))
    assert contents[0] == contents[1]


def test_one_image_with_two_labels_has_one_order_too(table: Table) -> None:
    # An image that was delivered twice, labelled by two people.
    rows: list[Row] = [(b"same", 0, [1.0, 1.0, 1.0]), (b"same", 1, [1.0, 1.0, 1.0]), *_rows(5)]
    assert _content(table([rows])) == _content(table([rows[::-1]]))


def test_two_tables_in_one_folder_do_not_mix(tmp_path: Path) -> None:
    rows = _rows(8)
    _write(tmp_path / "train-0.gz", rows[:5])
    _write(tmp_path / "val-0.gz", rows[5:])
    train = EmbeddingTable([f"{tmp_path}/train-*.gz"], EMBEDDING, tmp_path)
    val = EmbeddingTable([f"{tmp_path}/val-*.gz"], EMBEDDING, tmp_path)
    assert sorted(embedding[0] for _, embedding in _content(train)) == [0, 1, 2, 3, 4]
    assert sorted(embedding[0] for _, embedding in _content(val)) == [5, 6, 7]


@pytest.mark.parametrize("shards", [[], [[]]])
def test_no_example_is_an_error(table: Table, shards: list[list[Row]]) -> None:
    with pytest.raises(ValueError, match=r"no examples in .*part-"):
        table(shards)


def test_examples_without_the_embedding_are_an_error(tmp_path: Path) -> None:
    # Those of another backbone, for one: they must not be taken for zeros.
    rows = _rows(4)
    _write(tmp_path / "a.gz", [*rows[:2], *((image, label, []) for image, label, _ in rows[2:])])
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError)):
        EmbeddingTable([f"{tmp_path}/a.gz"], EMBEDDING, tmp_path)
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError)):
        EmbeddingTable([f"{tmp_path}/a.gz"], "embedding/other", tmp_path)


def _epoch(batches: Batches) -> list[float]:
    rows = [batches[number] for number in range(len(batches))]
    for embeddings, shares, weights in rows:
        np.testing.assert_array_equal(embeddings[:, 0].astype(int) % 4, shares.argmax(axis=1))
        np.testing.assert_array_equal(shares.sum(axis=1), 1)
        np.testing.assert_array_equal(weights, WEIGHTS[shares.argmax(axis=1)])
    return [float(value) for embeddings, _, _ in rows for value in embeddings[:, 0]]


@pytest.mark.parametrize("batch_size", [1, 4, 5, 23, 24, 100])
@pytest.mark.parametrize("seed", [None, 7])
def test_an_epoch_has_each_row_once_and_the_last_batch_may_be_smaller(
    table: Table, batch_size: int, seed: int | None
) -> None:
    batches = Batches(table([_rows(23)]), batch_size, seed, WEIGHTS)
    sizes = [len(batches[number][1]) for number in range(len(batches))]
    assert sum(sizes) == 23
    assert set(sizes[:-1]) <= {batch_size}
    assert 0 < sizes[-1] <= batch_size
    for _ in range(3):
        assert sorted(_epoch(batches)) == list(range(23))
        batches.on_epoch_end()


def test_every_epoch_has_an_order_of_its_own_that_the_seed_decides(table: Table) -> None:
    content = table([_rows(50)])

    def epochs(seed: int | None) -> list[list[float]]:
        batches = Batches(content, 8, seed, WEIGHTS)
        orders = []
        for _ in range(3):
            orders.append(_epoch(batches))
            batches.on_epoch_end()
        return orders

    first, again, other, unshuffled = epochs(3), epochs(3), epochs(4), epochs(None)
    assert first == again
    assert first != other
    assert len({tuple(order) for order in first}) == 3
    assert len({tuple(order) for order in unshuffled}) == 1
    np.testing.assert_array_equal(unshuffled[0], content.read(np.arange(50))[:, 0])


def test_sample_images_do_not_depend_on_the_order_of_files(tmp_path: Path) -> None:
    for folder, cut in (("one", 2), ("two", 3)):
        (tmp_path / folder).mkdir()
        rows = _rows(4) if folder == "one" else _rows(4)[::-1]
        _write(tmp_path / folder / "0.gz", rows[:cut])
        _write(tmp_path / folder / "1.gz", rows[cut:])
    found = sample_images([f"{tmp_path}/one/*.gz"], 3)
    assert len(set(found)) == 3
    assert set(found) < {b"image 0", b"image 1", b"image 2", b"image 3"}
    assert sample_images([f"{tmp_path}/two/*.gz"], 3) == found
    assert len(sample_images([f"{tmp_path}/one/*.gz"], 99)) == 4
