"""Data is found as the contract lays it out, and every other layout or label is refused."""

import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import tensorflow as tf

from pipeline.config import Config, ConfigError
from pipeline.data import layouts, spans
from pipeline.data.spans import SPLITS

LABELS = ("cat", "dog", "owl")
PNG = b"\x89PNG and so on"


def _example(label: int | None = 0, text: str | None = "cat", image: bytes | None = PNG) -> bytes:
    features = {}
    if image is not None:
        features["image/encoded"] = tf.train.Feature(bytes_list=tf.train.BytesList(value=[image]))
    if label is not None:
        features["image/class/label"] = tf.train.Feature(
            int64_list=tf.train.Int64List(value=[label])
        )
    if text is not None:
        features["image/class/text"] = tf.train.Feature(
            bytes_list=tf.train.BytesList(value=[text.encode()])
        )
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def _write(path: Path, records: Sequence[bytes] = (_example(),)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path), "GZIP" if path.suffix == ".gz" else None) as writer:
        for record in records:
            writer.write(record)


def _write_splits(folder: Path) -> None:
    for split in SPLITS:
        _write(folder / split / "a.tfrecord.gz")


def _config(root: Path, span: int | str = "latest") -> Config:
    data = {"root": str(root), "labels": LABELS, "span": span}
    return Config.model_validate({"name": "a", "data": data})


def _refusal(root: Path, span: int | str = "latest") -> str:
    with pytest.raises(ConfigError) as caught:
        spans.check(_config(root, span))
    return str(caught.value).replace(str(root), "ROOT")


def _matched(span: spans.Span) -> dict[str, list[str]]:
    """Lists the files that TFX would read: its number filled in, then TensorFlow's own glob."""
    return {
        split: sorted(
            str(Path(path).relative_to(span.base))
            for path in tf.io.gfile.glob(f"{span.base}/{pattern.format(SPAN=span.number)}")
        )
        for split, pattern in span.patterns.items()
    }


def test_the_latest_span_is_the_highest_number(tmp_path):
    for number in (0, 2, 10):
        _write_splits(tmp_path / f"span-{number}")
    span = spans.check(_config(tmp_path))
    assert (span.number, span.splits, span.numbered) == (10, SPLITS, True)
    assert (span.base, span.path) == (str(tmp_path), str(tmp_path / "span-10"))
    assert span.patterns["val"] == "span-{SPAN}/val/*.tfrecord*"
    assert _matched(span) == {split: [f"span-10/{split}/a.tfrecord.gz"] for split in SPLITS}


def test_the_spans_of_a_window_are_laid_out_alike(tmp_path):
    for number in (2, 3):
        _write_splits(tmp_path / f"span-{number}")
    _write(tmp_path / "span-1/a.tfrecord")
    config = _config(tmp_path)
    for window, fits in ((1, True), (2, True), (3, False), (100, False)):
        data = config.data.model_copy(update={"window": window})
        widened = config.model_copy(update={"data": data})
        if fits:
            assert spans.find(widened).number == 3
            continue
        with pytest.raises(ConfigError, match=rf"data\.window: found {window}, .*span-1; allowed"):
            spans.find(widened)


def test_a_span_can_be_asked_for(tmp_path):
    for number in (0, 2, 10):
        _write_splits(tmp_path / f"span-{number}")
    assert spans.check(_config(tmp_path, 2)).number == 2
    assert _refusal(tmp_path, 1).startswith("data.span: found 1; allowed: 0, 2, 10, as these are")


def test_spans_may_come_without_splits(tmp_path):
    _write(tmp_path / "span-3/a.tfrecord")
    _write(tmp_path / "span-3/b.tfrecord-00000-of-00001")
    span = spans.check(_config(tmp_path))
    assert (span.number, span.splits) == (3, ())
    assert _matched(span) == {
        "all": ["span-3/a.tfrecord", "span-3/b.tfrecord-00000-of-00001"],
    }


def test_a_flat_folder_is_span_0(tmp_path):
    _write(tmp_path / "a.tfrecord")
    (tmp_path / "labels.txt").write_text("cat")
    span = spans.check(_config(tmp_path, 0))
    assert (span.number, span.splits, span.numbered) == (0, (), False)
    assert _matched(span) == {"all": ["a.tfrecord"]}
    assert _refusal(tmp_path, 1).startswith("data.span: found 1; allowed: 0, as these are in ROOT")


def test_a_flat_folder_may_have_splits(tmp_path):
    _write_splits(tmp_path)
    span = spans.check(_config(tmp_path))
    assert (span.number, span.splits, span.numbered) == (0, SPLITS, False)
    assert _matched(span) == {split: [f"{split}/a.tfrecord.gz"] for split in SPLITS}


def test_unpublished_and_unrelated_folders_do_not_count(tmp_path):
    _write_splits(tmp_path / "span-1")
    for name in ("_span-2", ".span-3", "span-1/_extra", "span-1/.train", "notes"):
        _write(tmp_path / name / "a.tfrecord")
    assert spans.check(_config(tmp_path)).number == 1


def test_layouts_that_are_no_data(tmp_path):
    assert _refusal(tmp_path / "no").startswith("data.root: ROOT does not exist; bring images in")
    assert _refusal(tmp_path).startswith("data.root: ROOT holds no data; allowed: a folder with")
    (tmp_path / "file").touch()
    assert _refusal(tmp_path / "file").startswith("data.root: ROOT is a file; allowed: a folder")
    (tmp_path / "span-0").mkdir()
    assert _refusal(tmp_path).startswith("ROOT/span-0: found no data; allowed: train, val and test")


@pytest.mark.parametrize("name", ["span-01", "span-", "span-1.partial", "span--1", "span-x"])
def test_a_folder_that_tfx_would_stumble_over_is_named(tmp_path, name):
    _write_splits(tmp_path / "span-0")
    (tmp_path / name).mkdir()
    found = name.removeprefix("span-")
    assert _refusal(tmp_path).startswith(f'ROOT/{name}: found "{found}" for a span\'s number;')


@pytest.mark.parametrize("missing", ["train", "test"])
def test_a_split_that_is_missing_or_empty(tmp_path, missing):
    _write_splits(tmp_path / "span-0")
    folder = tmp_path / "span-0" / missing
    _write(folder / "a.tfrecord.gz", [])
    assert _refusal(tmp_path) == (
        f"ROOT/span-0/{missing}: found no record in its files; allowed: one or more"
    )
    (folder / "a.tfrecord.gz").rename(folder / "a.gz")
    assert _refusal(tmp_path) == f"ROOT/span-0/{missing}: found no file; allowed: *.tfrecord*"
    shutil.rmtree(folder)
    others = ", ".join(sorted(set(SPLITS) - {missing}))
    assert _refusal(tmp_path).startswith(
        f"ROOT/span-0: found splits {others}; allowed: train, val and test;"
    )


def test_one_empty_file_among_others_is_fine(tmp_path):
    _write_splits(tmp_path)
    _write(tmp_path / "train/b.tfrecord", [])
    assert spans.check(_config(tmp_path)).splits == SPLITS


def test_split_and_unsplit_data_do_not_mix(tmp_path):
    _write_splits(tmp_path / "span-0")
    _write(tmp_path / "span-0/a.tfrecord")
    assert _refusal(tmp_path).startswith("ROOT/span-0: found a.tfrecord beside train; allowed:")


@pytest.mark.parametrize("beside", ["a.tfrecord", "train/a.tfrecord"])
def test_spans_and_flat_data_do_not_mix(tmp_path, beside):
    _write_splits(tmp_path / "span-4")
    _write(tmp_path / beside)
    name = Path(beside).parts[0]
    assert _refusal(tmp_path).startswith(f"data.root: ROOT holds span-4 and {name} side by side;")


@pytest.mark.parametrize(
    "record",
    [
        _example(2, "owl"),
        _example(2, None),
        _example(None, "owl"),
        _example(2, ""),
        _example(image=b"\xff\xd8\xff JPEG"),
        _example(image=b"GIF89a"),
        _example(image=b"BM"),
    ],
    ids=["both labels", "number only", "text only", "number and empty text", "JPEG", "GIF", "BMP"],
)
def test_records_that_fit(tmp_path, record):
    _write(tmp_path / "a.tfrecord", [record])
    assert spans.check(_config(tmp_path)).number == 0


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (
            _example(3, None),
            "image/class/label: found 3; allowed: 0 to 2, as there are 3 labels",
        ),
        (_example(-1, None), "image/class/label: found -1; allowed: 0 to 2, as there are 3 labels"),
        (
            _example(None, "dogs"),
            'image/class/text: found "dogs"; allowed: cat, dog, owl; did you mean dog?',
        ),
        (
            _example(None, ""),
            "found neither image/class/label nor image/class/text; allowed: either or both",
        ),
        (
            _example(1, "cat"),
            'image/class/text: found "cat" with image/class/label 1, which is "dog"; allowed: a'
            " name and a label that agree",
        ),
        (
            _example(None, None),
            "found neither image/class/label nor image/class/text; allowed: either or both",
        ),
        (
            _example(image=None),
            "image/encoded: found nothing; allowed: the bytes of a JPEG, PNG, GIF or BMP file",
        ),
        (
            _example(image=bytes(3072)),
            "image/encoded: found something else; allowed: the bytes of a JPEG, PNG, GIF or BMP",
        ),
    ],
    ids=[
        "label too large",
        "label negative",
        "misspelt name",
        "empty name",
        "label and name disagree",
        "no label",
        "no image",
        "no picture",
    ],
)
def test_a_record_that_does_not_fit_is_named(tmp_path, record, expected):
    _write_splits(tmp_path)
    (tmp_path / "val/a.tfrecord.gz").unlink()
    _write(tmp_path / "val/b.tfrecord", [record, _example(None, None)])
    assert _refusal(tmp_path).startswith(f"ROOT/val/b.tfrecord: record 0: {expected}")


def test_a_record_that_does_not_fit_among_others_is_for_the_run_to_set_aside(tmp_path):
    _write(tmp_path / "a.tfrecord", [_example(3, None), _example(), _example(image=None)])
    assert spans.check(_config(tmp_path)).number == 0


def test_features_of_another_kind_are_named(tmp_path):
    features = {
        "image/encoded": tf.train.Feature(bytes_list=tf.train.BytesList(value=[PNG])),
        "image/class/label": tf.train.Feature(float_list=tf.train.FloatList(value=[1])),
    }
    example = tf.train.Example(features=tf.train.Features(feature=features))
    _write(tmp_path / "a.tfrecord", [example.SerializeToString()])
    assert "record 0: image/class/label: found 1.0; allowed: 0 to 2" in _refusal(tmp_path)

    example.features.feature["image/class/label"].int64_list.value.extend([1, 2])
    _write(tmp_path / "a.tfrecord", [example.SerializeToString()])
    assert "record 0: image/class/label: found 2 values; allowed: one" in _refusal(tmp_path)


def test_a_damaged_file_is_named_where_there_is_no_other(tmp_path):
    (tmp_path / "b.tfrecord").write_bytes(b"no TFRecord at all")
    assert _refusal(tmp_path).startswith("ROOT/b.tfrecord: record 0 cannot be read: the checksum")
    _write(tmp_path / "a.tfrecord")
    assert spans.check(_config(tmp_path)).number == 0


def test_what_stands_before_a_damage_counts(tmp_path):
    _write(tmp_path / "a.tfrecord", [_example(), _example()])
    whole = (tmp_path / "a.tfrecord").read_bytes()
    (tmp_path / "a.tfrecord").write_bytes(whole[:-3])
    assert spans.check(_config(tmp_path)).number == 0


def test_a_large_span_is_checked_within_a_second(tmp_path):
    """Photographs of 100 KB in 100 files; this thread's time, as other work must not matter."""
    photographs = [_example(image=PNG + bytes(100_000))] * 30
    for split in SPLITS:
        _write(tmp_path / split / "0.tfrecord", photographs)
        for number in range(1, 100):
            (tmp_path / split / f"{number}.tfrecord").hardlink_to(tmp_path / split / "0.tfrecord")
    start = time.thread_time()
    spans.check(_config(tmp_path))
    assert time.thread_time() - start < 1


def test_missing_labels_are_told_before_records_are_read(tmp_path):
    _write(tmp_path / "a.tfrecord")
    wrong = Config.model_validate({"name": "a", "data": {"root": str(tmp_path)}})
    with pytest.raises(ConfigError, match=r"data\.labels: .*labels\.txt does not exist"):
        spans.check(wrong)


def test_remote_folders_are_listed_as_local_ones(tmp_path, monkeypatch):
    """TensorFlow's in-memory file system stands for a remote one: it is read by the same calls."""
    for folder in ("ram://remote/span-1/train", "ram://remote/span-2"):
        tf.io.gfile.makedirs(folder)
    for file in ("span-1/train/a.tfrecord", "span-2/a.tfrecord", "labels.txt"):
        with tf.io.gfile.GFile(f"ram://remote/{file}", "w") as writer:
            writer.write("a")
    monkeypatch.setattr(layouts, "is_remote", lambda location: location.startswith("ram://"))

    def find(root: str) -> spans.Span:
        config = _config(tmp_path)
        data = config.data.model_copy(update={"root": root})
        return spans.find(config.model_copy(update={"data": data}))

    found = find("ram://remote")
    assert (found.number, found.path, found.splits) == (2, "ram://remote/span-2", ())
    with pytest.raises(ConfigError, match=r"data\.root: ram://nowhere does not exist"):
        find("ram://nowhere")
