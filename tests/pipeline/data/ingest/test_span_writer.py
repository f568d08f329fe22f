"""Images from elsewhere become a span by the data contract, whole or not at all."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from components.image_example_gen.options import Checks, Rules
from components.image_example_gen.splits import Cut
from pipeline.config import Config, ConfigError
from pipeline.data import spans
from pipeline.data.ingest import folders, publication, sources, span_writer, spans_there
from retrain.__main__ import main
from tests.components.image_example_gen.bring_in import bring_in
from tests.conftest import Picture
from trainer import images


def _folder(root: Path, picture: Picture, *parts: str, count: int = 3) -> Path:
    """Fills class folders, each picture different."""
    for number, part in enumerate(parts):
        (root / part).mkdir(parents=True)
        for index in range(count):
            kind = ("PNG", "JPEG", "GIF", "BMP")[index % 4]
            seed = 1000 * number + index
            file = root / part / f"{index}.{kind.lower()}"
            file.write_bytes(picture(24, 16, kind=kind, seed=seed))
    return root


def _write(
    source: sources.SourceSet, root: Path, number: int = 0, *, overwrite: bool = False
) -> span_writer.Written:
    return span_writer.write(source, root, number, span_writer.Options(overwrite=overwrite))


def _examples(folder: Path) -> list[tf.train.Example]:
    files = sorted(str(file) for file in folder.glob("*.tfrecord"))
    return [tf.train.Example.FromString(r.numpy()) for r in tf.data.TFRecordDataset(files)]


def _value(example: tf.train.Example, name: str) -> bytes | int:
    feature = example.features.feature[name]
    (value,) = getattr(feature, feature.WhichOneof("kind")).value
    return value


def _labels(root: Path) -> list[str]:
    return (root / "labels.txt").read_text("utf-8").splitlines()


def test_digits_become_one_flat_span_that_a_run_accepts(tmp_path: Path) -> None:
    written = _write(sources.digits(), tmp_path)
    assert (written.images, written.rejected) == (1797, 0)
    assert written.path == tmp_path / "span-0"
    examples = _examples(tmp_path / "span-0")
    assert len(examples) == 1797
    assert {_value(e, "image/class/label") for e in examples} == set(range(10))
    assert _labels(tmp_path) == [str(digit) for digit in range(10)]
    config = Config.model_validate({"name": "a", "data": {"root": str(tmp_path)}})
    assert spans.check(config).number == 0


def test_digits_are_the_scans_of_scikit_learn() -> None:
    from sklearn import datasets

    scans = datasets.load_digits().images
    for number in (0, 100, 1796):
        encoded = sources.digits().images[number].read()
        pixels = images.decode(tf.constant(encoded)).numpy()[..., 0]
        assert np.abs(pixels * (16 / 255) - scans[number]).max() < 0.05


def test_a_folder_of_class_folders_becomes_a_span(tmp_path: Path, picture: Picture) -> None:
    source = _folder(tmp_path / "in", picture, "katze", "größe", count=3)
    root = tmp_path / "data"
    written = _write(folders.folder(source), root, 7)
    assert written.images == 6
    assert _labels(root) == ["größe", "katze"] == sorted(["katze", "größe"])
    examples = _examples(root / "span-7")
    assert len(examples) == 6
    for example in examples:
        name = str(_value(example, "image/filename"), "utf-8")
        assert _value(example, "image/encoded") == (source / name).read_bytes()
        text = str(_value(example, "image/class/text"), "utf-8")
        assert text == Path(name).parent.name
        assert _labels(root)[int(_value(example, "image/class/label"))] == text
        assert (_value(example, "image/height"), _value(example, "image/width")) == (16, 24)
        assert str(_value(example, "image/format"), "utf-8") == Path(name).suffix[1:]


def test_a_class_keeps_its_id_in_another_unicode_form(tmp_path: Path, picture: Picture) -> None:
    root = tmp_path / "data"
    root.mkdir()
    (root / "labels.txt").write_text("tea\ncafe\u0301\n", encoding="utf-8")
    _write(folders.folder(_folder(tmp_path / "in", picture, "caf\u00e9", "tea")), root)
    found = {
        (_value(e, "image/class/label"), _value(e, "image/class/text"))
        for e in _examples(root / "span-0")
    }
    # The text is the one in labels.txt, which the run compares it with.
    assert found == {(0, b"tea"), (1, "cafe\u0301".encode())}


def test_train_val_and_test_folders_become_splits(tmp_path: Path, picture: Picture) -> None:
    parts = [f"{split}/{label}" for split in spans.SPLITS for label in ("a", "b")]
    source = _folder(tmp_path / "in", picture, *parts, count=2)
    _write(folders.folder(source), tmp_path / "data")
    for split in spans.SPLITS:
        examples = _examples(tmp_path / "data" / "span-0" / split)
        names = {str(_value(e, "image/filename"), "utf-8").split("/")[0] for e in examples}
        assert (len(examples), names) == (4, {split})


@pytest.mark.parametrize("seed", range(3))
def test_a_dozen_images_without_val_are_what_a_run_reads(
    tmp_path: Path, picture: Picture, seed: int
) -> None:
    rows = []
    for number in range(18):
        name, split = f"{number}.png", "train" if number < 12 else "test"
        (tmp_path / name).write_bytes(picture(seed=100 * seed + number))
        rows.append(f"{name},{'ab'[number % 2]},{split}\n")
    (tmp_path / "list.csv").write_text("path,label,split\n" + "".join(rows))
    root = tmp_path / "data"
    assert _ingest(str(tmp_path / "list.csv"), "--output", str(root)) == 0
    config = Config.model_validate({"name": "a", "data": {"root": str(root)}})
    span = spans.check(config)
    assert (span.splits, span.cut) == (("train", "test"), ("train", "val"))
    cut = Cut(span.cut, (7000, 1500), of="train")
    patterns = {split: [f"{root}/span-0/{split}/*"] for split in span.splits}
    rules = Rules(labels=("a", "b"), checks=Checks(remove_leaked="none"))
    found = bring_in(tmp_path, tmp_path / "out", rules, cut, patterns)
    assert sum(found.intake.clean.values()) == 18
    assert found.intake.classes["test"] == {"a": 3, "b": 3}
    assert set(found.intake.classes["val"]) == {"a", "b"}


def test_what_is_no_image_is_rejected_and_listed(tmp_path: Path, picture: Picture) -> None:
    source = _folder(tmp_path / "in", picture, "a", "b")
    (source / "a" / "notes.txt").write_text("no image")
    (source / "a" / "empty.png").write_bytes(b"")
    (source / "a" / "half.png").write_bytes(picture(200, 200)[:-3000])
    (source / "a" / "half.jpg").write_bytes(picture(200, 200, kind="JPEG")[:-900])
    written = _write(folders.folder(source), tmp_path / "data")
    assert written.images == 6
    rejected = {
        "a/notes.txt",
        "a/empty.png",
        "a/half.png",
        "a/half.jpg",
    }
    assert {name for name, _ in written.rejects} == rejected
    assert written.rejected == 4
    assert all(reason for _, reason in written.rejects)
    with (written.path / publication.REJECTS).open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["path", "reason"]
    assert {row[0] for row in rows[1:]} == rejected


def test_no_usable_image_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    for label in ("a", "b"):
        (tmp_path / "in" / label).mkdir(parents=True)
        (tmp_path / "in" / label / "x.png").write_bytes(b"no image")
    with pytest.raises(ConfigError, match=r"a/x\.png"):
        _write(folders.folder(tmp_path / "in"), tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_one_class_alone_is_refused_unless_the_labels_list_others(
    tmp_path: Path, picture: Picture
) -> None:
    source = folders.folder(_folder(tmp_path / "in", picture, "a"))
    root = tmp_path / "data"
    with pytest.raises(ConfigError) as caught:
        _write(source, root)
    place = tmp_path / "in"
    assert str(caught.value) == (
        f'{place}: class names: found 1 name, "a"; allowed: two or more names'
    )
    assert not root.exists()
    root.mkdir()
    (root / "labels.txt").write_text("b\na\n", encoding="utf-8")
    assert _write(source, root).images == 3


def test_labels_are_read_as_a_run_reads_them(tmp_path: Path) -> None:
    file = tmp_path / "labels.txt"
    file.write_text("größe \ncat\n\n", encoding="utf-8-sig")
    assert span_writer.settle_labels(tmp_path, ("cat",), "in") == ("größe", "cat")
    file.write_text("cat\n\ndog\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="found a blank name for class 1"):
        span_writer.settle_labels(tmp_path, ("cat",), "in")


def test_labels_stay_as_they_are(tmp_path: Path, picture: Picture) -> None:
    root = tmp_path / "data"
    root.mkdir()
    (root / "labels.txt").write_text("zebra\nb\na\n", encoding="utf-8")
    _write(folders.folder(_folder(tmp_path / "in", picture, "a", "b")), root)
    assert _labels(root) == ["zebra", "b", "a"]
    for example in _examples(root / "span-0"):
        text = str(_value(example, "image/class/text"), "utf-8")
        assert _value(example, "image/class/label") == {"b": 1, "a": 2}[text]


def test_a_class_that_the_labels_do_not_list_is_refused(tmp_path: Path, picture: Picture) -> None:
    root = tmp_path / "data"
    _write(folders.folder(_folder(tmp_path / "in", picture, "a", "b")), root)
    with pytest.raises(ConfigError, match="found class c"):
        _write(folders.folder(_folder(tmp_path / "more", picture, "a", "c")), root, 1)
    assert spans_there(root) == {0}
    assert _labels(root) == ["a", "b"]


def test_a_large_split_has_several_files(
    tmp_path: Path, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(span_writer, "_PART_IMAGES", 4)
    _write(folders.folder(_folder(tmp_path / "in", picture, "a", "b", count=5)), tmp_path)
    files = sorted(file.name for file in (tmp_path / "span-0").glob("*.tfrecord"))
    assert files == [f"images-{number:05d}.tfrecord" for number in range(3)]
    names = {_value(example, "image/filename") for example in _examples(tmp_path / "span-0")}
    assert len(names) == 10


def test_a_span_that_exists_is_refused_or_replaced_whole(tmp_path: Path, picture: Picture) -> None:
    first = folders.folder(_folder(tmp_path / "a", picture, "a", "b", count=3))
    second = folders.folder(_folder(tmp_path / "b", picture, "a", count=1))
    root = tmp_path / "data"
    _write(first, root)
    with pytest.raises(ConfigError, match="--overwrite"):
        _write(second, root)
    assert len(_examples(root / "span-0")) == 6
    _write(second, root, overwrite=True)
    assert len(_examples(root / "span-0")) == 1
    assert {child.name for child in root.iterdir()} == {"span-0", "labels.txt"}


def _ingest(*arguments: str) -> int:
    return main(["ingest", *arguments])


def test_the_command_numbers_spans_and_keeps_those_that_are_there(
    tmp_path: Path, picture: Picture, capsys: pytest.CaptureFixture[str]
) -> None:
    source = str(_folder(tmp_path / "in", picture, "a", "b"))
    root = tmp_path / "data"
    output = ("--output", str(root))
    assert _ingest(source, *output) == 0
    assert "6 images" in capsys.readouterr().out
    assert _ingest(source, *output) == 0
    assert spans_there(root) == {0, 1}
    assert _ingest(source, *output, "--span", "9") == 0
    assert spans_there(root) == {0, 1, 9}

    capsys.readouterr()
    assert _ingest(source, *output, "--span", "9") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "span-9" in line
    assert _ingest(source, *output, "--span", "9", "--overwrite") == 0


def test_if_missing_does_nothing_where_data_is_there(
    tmp_path: Path, picture: Picture, capsys: pytest.CaptureFixture[str]
) -> None:
    source = str(_folder(tmp_path / "in", picture, "a", "b"))
    root = tmp_path / "data"
    output = ("--output", str(root), "--if-missing")
    assert _ingest(source, *output) == 0
    assert _ingest("nothing is read", *output) == 0
    assert "nothing to do" in capsys.readouterr().out
    assert spans_there(root) == {0}
    assert _ingest(source, *output, "--span", "4") == 0
    assert spans_there(root) == {0, 4}
