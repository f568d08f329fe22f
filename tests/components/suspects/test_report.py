"""What is found in Transform's examples does not depend on their order, and survives a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf

from components.suspects import report
from components.suspects.report import Suspects
from tests.conftest import Picture

NAME = b"caf\xe9/photo.png"  # no UTF-8


def _write(
    folder: Path, picture: Picture, *, embedded: bool = True, backwards: bool = False
) -> None:
    """Writes two classes that lie apart; the first image of train has the other's label."""
    random = np.random.default_rng(0)
    for split, count in (("train", 40), ("val", 6), ("test", 6)):
        records = []
        for number in range(count):
            truth = number % 2
            label = 1 - truth if split == "train" and number == 0 else truth
            example = tf.train.Example()
            feature = example.features.feature
            feature["image/encoded"].bytes_list.value.append(picture(seed=number, width=len(split)))
            feature["image/class/label"].int64_list.value.append(label)
            if number != 1:
                name = NAME if number == 0 else f"{split}/{number}.png".encode()
                feature["image/filename"].bytes_list.value.append(name)
            if embedded:
                vector = random.normal(4 * truth, 1, 16)
                feature["embedding/abc"].float_list.value.extend(vector)
            records.append(example.SerializeToString())
        (folder / f"Split-{split}").mkdir(parents=True)
        with tf.io.TFRecordWriter(str(folder / f"Split-{split}" / "a.gz"), "GZIP") as writer:
            for record in reversed(records) if backwards else records:
                writer.write(record)


def test_a_wrong_label_is_found_by_name_and_survives_a_file(
    tmp_path: Path, picture: Picture
) -> None:
    _write(tmp_path / "one", picture)
    found = report.find(str(tmp_path / "one"))
    assert found is not None
    assert found.searched == 52
    first = found.found[0]
    assert first.image.split == "train"
    assert first.image.name.encode("utf-8", "surrogateescape") == NAME
    assert (first.image.label, first.suggested) == (1, 0)
    (tmp_path / report.FILE_NAME).write_text(found.to_json(), "utf-8")
    assert report.read(str(tmp_path)) == found
    assert Suspects.from_json(found.to_json()) == found
    _write(tmp_path / "other", picture, backwards=True)
    again = report.find(str(tmp_path / "other"))
    assert again is not None
    assert [one.image for one in again.found] == [one.image for one in found.found]
    assert len(list(report.images(str(tmp_path / "one")))) == 52


def test_without_embeddings_nothing_is_searched(tmp_path: Path, picture: Picture) -> None:
    _write(tmp_path / "one", picture, embedded=False)
    assert report.find(str(tmp_path / "one")) is None
    assert report.find("") is None
    assert report.read(str(tmp_path)) is None
