"""TFRecords that something else wrote, as a source."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import tensorflow as tf

from pipeline.config import ConfigError
from pipeline.data.ingest import part
from pipeline.data.ingest.find import find
from pipeline.data.ingest.sources import Origin, Source
from pipeline.data.ingest.tfrecords import RecordSet
from retrain.__main__ import main
from tests.conftest import Picture
from tests.pipeline.data.examples import Value, serialized


def _write(path: Path, *content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in content:
            writer.write(record)
    return path


def _images(origin: Origin) -> list[Source]:
    return [image for one in origin.parts(4096) for image in one()]


def _found(*names: Path, **features: str) -> RecordSet:
    origin = find([str(name) for name in names], features)
    assert isinstance(origin, RecordSet)
    return origin


def _refusal(*names: Path, **features: str) -> str:
    with pytest.raises(ConfigError) as caught:
        find([str(name) for name in names], features)
    (line,) = str(caught.value).splitlines()
    return line


@pytest.mark.parametrize("compressed", [False, True])
def test_a_set_of_tensorflow_datasets_is_read_as_it_lies(
    tmp_path: Path, picture: Picture, compressed: bool
) -> None:
    folder = tmp_path / "pets" / "1.0.0"
    for split, count in (("train", 4), ("test", 2), ("extra", 2)):
        records = [
            serialized(image=picture(seed=n), label=n % 2, id=b"n%d" % n) for n in range(count)
        ]
        file = _write(folder / f"pets-{split}.tfrecord-00000-of-00001", *records)
        if compressed:
            file.write_bytes(gzip.compress(file.read_bytes()))
    (folder / "dataset_info.json").write_text(json.dumps({"name": "pets"}))
    (folder / "label.labels.txt").write_text("dog\ncat\n")
    for name in (folder, folder.parent):
        found = _found(name)
        assert found.labels == ("dog", "cat")
        assert found.count == 6
        images = _images(found)
        assert [image.split for image in images].count("test") == 2
        assert [image.split for image in images].count("train") == 4
        assert {image.label for image in images} == {"dog", "cat"}
        assert any("extra" in line for line in found.told)
    (first,) = (image for image in images if image.split == "test" and image.label == "cat")
    assert first.read() == picture(seed=1)
    assert first.slices == (("image/id", "n1"),)


def test_the_validation_split_is_judged_on_where_a_catalogue_set_has_no_test(
    tmp_path: Path, picture: Picture
) -> None:
    for split in ("train", "validation"):
        records = [serialized(image=picture(seed=n), label=n) for n in range(2)]
        _write(tmp_path / f"x-{split}.tfrecord-00000-of-00001", *records)
    assert "validation" in _refusal(tmp_path)
    (tmp_path / "dataset_info.json").write_text("{}")
    assert {image.split for image in _images(_found(tmp_path))} == {"train", "test"}


def test_splits_may_be_folders_or_missing(tmp_path: Path, picture: Picture) -> None:
    records = [serialized(image=picture(seed=n), label=n) for n in range(2)]
    files = [
        _write(tmp_path / split / "a.tfrecord", *records) for split in ("train", "val", "test")
    ]
    for names in ([tmp_path], files):
        images = _images(_found(*names))
        assert [image.split for image in images].count("val") == 2
        assert len({image.name for image in images}) == 6
    assert {image.split for image in _images(_found(files[0]))} == {None}
    assert {image.split for image in _images(_found(tmp_path / "test"))} == {None}


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        ((3, 0, 10), ("0", "3", "10")),
        ((b"owl", b"cat", b" owl "), ("cat", "owl")),
        ((b"10", b"9", b"01"), ("01", "9", "10")),
        (([0, 1], [1, 0], [0, 1]), ("0", "1")),
    ],
)
def test_classes_come_from_the_records_where_nothing_lists_them(
    tmp_path: Path, picture: Picture, labels: Sequence[Value], classes: tuple[str, ...]
) -> None:
    records = [serialized(image=picture(seed=n), label=label) for n, label in enumerate(labels)]
    found = _found(_write(tmp_path / "a.tfrecord", *records))
    assert found.labels == classes
    for image in _images(found):
        example = part.to_example(image, part.prepared(image, None), found.labels)
        (text,) = example.features.feature["image/class/text"].bytes_list.value
        assert text.decode() == image.label


def test_names_of_classes_keep_their_numbers(tmp_path: Path, picture: Picture) -> None:
    pairs = ((2, b"ant"), (0, b"owl"), (1, b"cat"), (0, b"owl"))
    records = [
        serialized(
            image__encoded=picture(seed=n),
            image__class__label=number,
            image__class__text=name,
            image__filename=b"%d.png" % n,
            image__width=9,
            site=b"north",
            weight=0.1,
            box=[0.1, 0.2],
        )
        for n, (number, name) in enumerate(pairs)
    ]
    found = _found(_write(tmp_path / "a.tfrecord", *records))
    assert found.labels == ("owl", "cat", "ant")
    assert found.told == ()
    images = _images(found)
    assert [image.name for image in images] == ["0.png", "1.png", "2.png", "3.png"]
    assert images[0].slices == (("image/site", "north"), ("image/weight", "0.1"))
    _write(
        tmp_path / "a.tfrecord",
        *records,
        serialized(image__encoded=b"x", image__class__label=1, image__class__text=b"owl"),
    )
    assert "text=null" in _refusal(tmp_path / "a.tfrecord")


@pytest.mark.parametrize(
    ("record", "key", "features"),
    [
        ({"left": b"", "right": b"", "label": 1}, "image", {"image": "left"}),
        ({"image": b"", "fine_label": 1, "coarse_label": 1}, "label", {"label": "fine_label"}),
        ({"image": b"", "answer": 1, "id": 1}, "label", {"label": "answer"}),
        ({"image": b"", "answer": b"cat", "id": 1}, "label", {"text": "answer"}),
    ],
)
def test_features_that_are_not_clear_are_asked_for(
    tmp_path: Path,
    picture: Picture,
    record: dict[str, Value],
    key: str,
    features: dict[str, str],
) -> None:
    values = {name: value or picture() for name, value in record.items()}
    file = _write(tmp_path / "a.tfrecord", serialized(**values))
    assert f"--features {key}=" in _refusal(file)
    (image,) = _images(_found(file, **features))
    assert image.label in ("1", "cat")
    assert image.read() == picture()
    assert "allowed:" in _refusal(file, label="nothing")


@pytest.mark.parametrize("name", ["label", "target", "image_class", "Category", "breed_label"])
@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "TIFF"])
def test_usual_names_are_found(tmp_path: Path, picture: Picture, name: str, kind: str) -> None:
    values = {"picture": picture(kind=kind), name: 1, "rank": 5, "label_note": b"sharp"}
    found = _found(_write(tmp_path / "a.tfrecord", serialized(**values)), text="null")
    (image,) = _images(found)
    assert image.label == "1"
    assert any(f"image=picture,label={name}" in line for line in found.told)


def test_numbers_from_one_are_told_and_not_shifted(tmp_path: Path, picture: Picture) -> None:
    records = [serialized(image=picture(seed=n), label=n) for n in (1, 2, 3)]
    file = _write(tmp_path / "a.tfrecord", *records)
    (tmp_path / "labels.txt").write_text("ant\ncat\nowl\n")
    assert "label_base=1" in _refusal(file)
    found = _found(file, label_base="1")
    assert [image.label for image in _images(found)] == ["ant", "cat", "owl"]
    (tmp_path / "labels.txt").write_text("ant\ncat\n")
    assert "2 class names" in _refusal(file)


@pytest.mark.parametrize(("base", "beyond"), [(0, 2), (0, 99), (1, 0), (1, 3)])
def test_a_number_beyond_the_list_costs_its_record_only(
    tmp_path: Path, picture: Picture, base: int, beyond: int
) -> None:
    numbers = (base, base + 1, beyond, base)
    records = [serialized(image=picture(seed=n), label=one) for n, one in enumerate(numbers)]
    file = _write(tmp_path / "a.tfrecord", *records)
    (tmp_path / "labels.txt").write_text("ant\ncat\n")
    found = _found(file, label_base=str(base))
    images = _images(found)
    assert [image.label for image in images] == ["ant", "cat", "", "ant"]
    with pytest.raises(part.RejectedError, match=f"label: found {beyond}"):
        part.to_example(images[2], part.prepared(images[2], None), found.labels)
    _write(file, *records, records[2], records[2], records[2])
    assert "2 class names" in _refusal(file, label_base=str(base))


def test_files_of_tf_slim_need_no_ending(tmp_path: Path, picture: Picture) -> None:
    records = [serialized(image=picture(seed=n), label=n) for n in range(2)]
    shards = {"train": ("train-00000-of-00002", "train-00001-of-00002"), "test": ("test-0-of-1",)}
    for names in shards.values():
        for name in names:
            _write(tmp_path / name, *records)
    (tmp_path / "notes-0-of-1.txt").write_text("no shard")
    images = _images(_found(tmp_path))
    assert [image.split for image in images] == ["test"] * 2 + ["train"] * 4
    assert len(_images(_found(tmp_path / "train-00000-of-00002"))) == 2
    for name in ("pets_validation-00000-of-00001", "pets_train-00000-of-00001"):
        _write(tmp_path / "pets" / name, *records)
    assert "pets" in _refusal(tmp_path / "pets")


def test_digits_as_text_are_read_by_the_list(tmp_path: Path, picture: Picture) -> None:
    records = [serialized(image=picture(seed=n), label=b"%d" % n) for n in range(2)]
    file = _write(tmp_path / "a.tfrecord", *records)
    (tmp_path / "labels.txt").write_text("cat\nowl\n")
    assert [image.label for image in _images(_found(file))] == ["cat", "owl"]


def test_texts_of_another_list_are_told(tmp_path: Path, picture: Picture) -> None:
    record = serialized(
        image__encoded=picture(), image__class__label=1, image__class__text=b"tench"
    )
    file = _write(tmp_path / "a.tfrecord", record)
    (tmp_path / "labels.txt").write_text("n01\nn02\n")
    assert "text=null" in _refusal(file)
    (image,) = _images(_found(file, label="image/class/label", text="null"))
    assert image.label == "n02"


def test_records_that_cannot_be_used_are_rejected_by_themselves(
    tmp_path: Path, picture: Picture
) -> None:
    file = _write(
        tmp_path / "a.tfrecord",
        serialized(image=picture(), label=0),
        serialized(image=picture(), label=-1),
        serialized(label=1),
        b"no example",
        serialized(image=picture(), label=1),
        serialized(image=picture(), label=1),
    )
    file.write_bytes(file.read_bytes()[:-9])
    found = _found(file)
    assert found.labels == ("0", "1")
    read = []
    for image in _images(found):
        try:
            read.append((image.name, image.read() == picture()))
        except OSError as error:
            assert str(error)
    assert [name.rpartition(":")[2] for name, same in read if same] == ["0", "4"]
    assert len(_images(found)) == found.count == 6


def test_records_beside_class_folders_are_told(tmp_path: Path, picture: Picture) -> None:
    _write(tmp_path / "a.tfrecord", serialized(image=picture(), label=0))
    (tmp_path / "cats").mkdir()
    assert "beside folders" in _refusal(tmp_path)


@pytest.mark.parametrize("content", [b"", b"no records at all, but some text"])
def test_a_file_without_records_is_told(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "a.tfrecord"
    file.write_bytes(content)
    assert str(file) in _refusal(file)


def test_the_command_takes_several_files(
    tmp_path: Path, picture: Picture, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [
        _write(
            tmp_path / f"x_{split}-0000{part}.tfrecord",
            *(serialized(img=picture(seed=10 * part + n), kind=n % 2) for n in range(3)),
        )
        for split in ("train", "test")
        for part in (0, 1)
    ]
    root = tmp_path / "data"
    arguments = ["ingest", *map(str, files), "--output", str(root)]
    assert main(arguments) == 2
    assert "--features label=" in capsys.readouterr().err
    assert main([*arguments, "--features", "label=kind"]) == 0
    assert "12 images" in capsys.readouterr().out
    assert {path.name for path in (root / "span-0").iterdir()} >= {"train", "test"}
    assert (root / "labels.txt").read_text() == "0\n1\n"
