"""Sets of TensorFlow Datasets, with its own mock of their data."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests
import tensorflow as tf
import tensorflow_datasets

from pipeline.config import ConfigError
from pipeline.data.ingest import span_writer, tfds
from pipeline.data.ingest.find import find


def _examples(folder: Path) -> list[tf.train.Example]:
    files = sorted(str(file) for file in folder.glob("*.tfrecord"))
    return [tf.train.Example.FromString(r.numpy()) for r in tf.data.TFRecordDataset(files)]


def _prepare(root: Path, name: str, **splits: int) -> Path:
    """Writes what the catalogue knows of a set, as a download would; its data is then mocked."""
    builder = tensorflow_datasets.builder(name, data_dir=root)
    Path(builder.data_dir).mkdir(parents=True)
    infos = [
        tensorflow_datasets.core.SplitInfo(name=split, shard_lengths=[size], num_bytes=0)
        for split, size in splits.items()
    ]
    builder.info.set_splits(tensorflow_datasets.core.splits.SplitDict(infos))
    builder.info.write_to_directory(builder.data_dir)
    return root


@pytest.mark.parametrize(("name", "side"), [("cifar10", 32), ("fashion_mnist", 28)])
def test_a_set_becomes_a_span(tmp_path: Path, name: str, side: int) -> None:
    catalogue = _prepare(tmp_path / "catalogue", name, train=30, test=30)
    with tensorflow_datasets.testing.mock_data(num_examples=30, data_dir=catalogue):
        source = find([f"tfds:{name}"])
        assert source.count == 60
        written = span_writer.write(source, tmp_path / "data", 0, span_writer.Options())
    assert (written.images, written.rejected) == (60, 0)
    labels = (tmp_path / "data/labels.txt").read_text("utf-8").splitlines()
    assert len(labels) == 10
    counts = {}
    for split in ("train", "test"):
        examples = _examples(written.path / split)
        counts[split] = len(examples)
        for example in examples:
            features = example.features.feature
            (label,) = features["image/class/label"].int64_list.value
            assert features["image/class/text"].bytes_list.value == [labels[label].encode()]
            (encoded,) = features["image/encoded"].bytes_list.value
            assert tf.io.decode_image(encoded).shape[:2] == (side, side)
    assert counts == {"train": 30, "test": 30}


@pytest.mark.parametrize(
    ("splits", "becomes"),
    [
        ({"train": 9}, {"train": None}),
        ({"train": 9, "test": 9, "extra": 9}, {"train": "train", "test": "test"}),
        ({"train": 9, "validation": 9}, {"train": "train", "validation": "test"}),
    ],
)
def test_splits_become_those_of_the_contract(
    tmp_path: Path, splits: dict[str, int], becomes: dict[str, str | None]
) -> None:
    catalogue = _prepare(tmp_path, "svhn_cropped", **splits)
    with tensorflow_datasets.testing.mock_data(num_examples=9, data_dir=catalogue):
        found = tfds.tfds_set("svhn_cropped")
    assert {own: split for own, split, _ in found.splits} == becomes


def test_a_set_that_cannot_be_fetched_is_told_after_one_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def offline(url: str, **_: object) -> None:
        asked.append(url)
        raise requests.ConnectionError("no network")

    monkeypatch.setattr(requests, "head", offline)
    with tensorflow_datasets.testing.mock_data(num_examples=9, data_dir=tmp_path):
        with pytest.raises(ConfigError, match=r"^tfds:svhn_cropped: .* cannot be reached"):
            tfds.tfds_set("svhn_cropped")
        assert len(asked) == 1
        _prepare(tmp_path, "svhn_cropped", train=9, test=9)
        assert tfds.tfds_set("svhn_cropped").count == 18
    assert len(asked) == 1


@pytest.mark.parametrize("name", ["no_such_set", "imdb_reviews", "coco/2017"])
def test_what_is_no_set_of_classified_images_is_refused(name: str) -> None:
    with (
        tensorflow_datasets.testing.mock_data(num_examples=2),
        pytest.raises(ConfigError, match="allowed:"),
    ):
        tfds.tfds_set(name)
