"""Whatever goes in comes out clean or in quarantine, exactly once, and the intake says so."""

from __future__ import annotations

import gzip
import io
import tempfile
from collections import Counter
from pathlib import Path

import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from components.image_example_gen.options import Checks, Features, Rules
from components.image_example_gen.splits import Cut
from tests.components.image_example_gen.bring_in import (
    CUT,
    SPLITS,
    BroughtIn,
    bring_in,
    framed,
    value,
    write,
)
from tests.conftest import LABELS, Picture, Record, _picture, _record

pytestmark = pytest.mark.slow

_REASONS = {
    *("no-example", "no-image", "missing-label", "unknown-label", "disagreeing-labels"),
    *("too-large", "too-small", "wrong-channels", "truncated", "undecodable", "near-constant"),
    "leaked",
}

MEASURED = {
    "image/height": int,
    "image/width": int,
    "image/bytes": int,
    "image/aspect": float,
    "image/brightness": float,
    "image/contrast": float,
    "image/sharpness": float,
    "image/colourfulness": float,
    "image/entropy": float,
}


def _write_splits(folder: Path, record: Record, picture: Picture, each: int = 3) -> None:
    for number, split in enumerate(SPLITS):
        images = [picture(seed=100 * number + i, kind="JPEG") for i in range(each)]
        write(
            folder / split / "a.tfrecord",
            [record(image, i % len(LABELS)) for i, image in enumerate(images)],
        )


def test_clean_records_keep_their_split_and_get_both_labels_and_numbers(
    tmp_path: Path, record: Record, picture: Picture
) -> None:
    image = picture(kind="JPEG", seed=1)
    write(tmp_path / "in/train/a.tfrecord", [record(image, 1, image__source="phone")])
    write(tmp_path / "in/val/a.tfrecord.gz", [record(picture(seed=2), None, LABELS[2])])
    write(tmp_path / "in/test/a.tfrecord", [record(picture(seed=3), 0, LABELS[0])])
    found = bring_in(tmp_path / "in", tmp_path / "out")
    assert found.quarantine == []
    assert {split: len(found.splits[split]) for split in SPLITS} == dict.fromkeys(SPLITS, 1)
    (example,) = found.splits["train"]
    assert value(example, "image/encoded") == image
    assert value(example, "image/source") == b"phone"
    assert value(example, "image/class/label") == 1
    assert value(example, "image/class/text").decode() == LABELS[1]
    assert {name: type(value(example, name)) for name in MEASURED} == MEASURED
    assert (value(example, "image/height"), value(example, "image/width")) == (30, 40)
    assert value(example, "image/bytes") == len(image)
    (by_name,) = found.splits["val"]
    assert value(by_name, "image/class/label") == 2
    assert found.intake.clean == dict.fromkeys(SPLITS, 1)
    assert found.intake.classes["val"] == {LABELS[0]: 0, LABELS[1]: 0, LABELS[2]: 1}
    assert found.intake.span == 3


def test_every_record_and_every_copy_can_be_found_by_its_name(
    tmp_path: Path, record: Record, picture: Picture
) -> None:
    """A name stays as it is; a record without one gets span, file and number."""
    span = tmp_path / "span-3"
    named = record(picture(seed=1, kind="JPEG"), 0, image__filename="cats/1.jpg")
    nameless = record(picture(seed=2, kind="JPEG"), 1)
    small = record(picture(5, 5, seed=3), 0, image__filename="cats/small.jpg")
    write(span / "test/a.tfrecord", [named, nameless])
    copies = [
        record(picture(seed=1, kind="JPEG"), 0, image__filename="copy.jpg"),
        record(picture(seed=2, kind="JPEG"), 1),
        record(picture(seed=4), 2, image__filename=""),
    ]
    write(span / "train/b.tfrecord.gz", [*copies, small])
    found = bring_in(span, tmp_path / "out")
    names = [value(one, "image/filename") for split in SPLITS for one in found.splits[split]]
    assert sorted(names) == [
        b"cats/1.jpg",
        b"span-3/test/a.tfrecord:1",
        b"span-3/train/b.tfrecord.gz:2",
    ]
    assert sorted((one.name, one.other_name) for one in found.intake.examples) == [
        ("copy.jpg", "cats/1.jpg"),
        ("span-3/train/b.tfrecord.gz:1", "span-3/test/a.tfrecord:1"),
    ]
    assert {one.detail for one in found.quarantine if one.reason == "leaked"} == {
        "a copy of cats/1.jpg",
        "a copy of span-3/test/a.tfrecord:1",
    }
    assert {one.name for one in found.quarantine} == {
        "cats/small.jpg",
        "copy.jpg",
        "span-3/train/b.tfrecord.gz:1",
    }


def _with_wrong_feature(image: bytes) -> bytes:
    example = tf.train.Example.FromString(_record(image))
    example.features.feature["image/class/label"].float_list.value.append(1.0)
    return example.SerializeToString()


def _constant() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (40, 40), (9, 90, 200)).save(buffer, "PNG")
    return buffer.getvalue()


JPEG = _picture(64, 48, kind="JPEG", seed=1)
PNG = _picture(64, 48, seed=2)
HOSTILE = {
    "no-example": b"\x0a\xffno example",
    "no-image": tf.train.Example().SerializeToString(),
    "missing-label": _record(JPEG),
    "unknown-label": _record(JPEG, len(LABELS)),
    "unknown-label text": _record(JPEG, None, "dog"),
    "unknown-label kind": _with_wrong_feature(JPEG),
    "disagreeing-labels": _record(JPEG, 0, LABELS[1]),
    "truncated JPEG": _record(JPEG[: len(JPEG) // 2], 0),
    "truncated PNG": _record(PNG[: len(PNG) // 2], 0),
    "truncated GIF": _record(_picture(64, 48, mode="P", kind="GIF")[:-300], 0),
    "truncated BMP": _record(_picture(64, 48, kind="BMP")[:-300], 0),
    "undecodable": _record(b"a text named .jpg", 0),
    "undecodable WebP": _record(_picture(kind="WEBP"), 0),
    "undecodable DDS": _record(b"DDS \x7c\0\0\0" + bytes(120), 0),
    "too-small": _record(_picture(7, 40), 0),
    "too-large": _record(_picture(200, 200), 0),
    "wrong-channels": _record(_picture(mode="CMYK", kind="JPEG"), 0),
    "near-constant": _record(_constant(), 0),
}


def test_each_fault_has_its_reason_and_the_record_is_kept_whole(
    tmp_path: Path, record: Record, picture: Picture
) -> None:
    _write_splits(tmp_path / "in", record, picture)
    write(tmp_path / "in/train/hostile.tfrecord", list(HOSTILE.values()))
    rules = Rules(labels=LABELS, checks=Checks(max_pixels=10_000, channels=(1, 3)))
    found = bring_in(tmp_path / "in", tmp_path / "out", rules)
    kept = {one.number: one for one in found.quarantine}
    assert sorted(kept) == list(range(len(HOSTILE)))
    for number, (name, content) in enumerate(HOSTILE.items()):
        assert kept[number].reason == name.partition(" ")[0], (name, kept[number])
        assert kept[number].record == content
        assert kept[number].detail
        assert kept[number].file.endswith("hostile.tfrecord")
    assert found.intake.quarantined == Counter(name.partition(" ")[0] for name in HOSTILE)
    assert {len(found.splits[split]) for split in SPLITS} == {3}
    assert found.intake.records == 9 + len(HOSTILE)


def test_foreign_files_mixed(tmp_path: Path, record: Record, picture: Picture) -> None:
    _write_splits(tmp_path / "in", record, picture)
    train = tmp_path / "in" / "train"
    whole = framed([record(picture(seed=s), s % 3) for s in range(20, 26)])
    (train / "empty.tfrecord").write_bytes(b"")
    (train / "empty.tfrecord.gz").write_bytes(b"")
    (train / "packed-without-the-name.tfrecord").write_bytes(
        gzip.compress(framed([record(picture(seed=40), 0)]))
    )
    (train / "plain-with-the-name.tfrecord.gz").write_bytes(framed([record(picture(seed=41), 0)]))
    (train / "cut.tfrecord").write_bytes(whole[:-7])
    (train / "none.tfrecord").write_bytes(b"no TFRecord at all")
    (train / "cut.tfrecord.gz").write_bytes(
        gzip.compress(framed([record(picture(seed=s, width=200), 0) for s in range(30, 36)]))[:-40]
    )
    found = bring_in(tmp_path / "in", tmp_path / "out")
    assert found.quarantine == []
    damaged = {Path(one.file).name: one for one in found.intake.damaged}
    assert sorted(damaged) == ["cut.tfrecord", "cut.tfrecord.gz", "none.tfrecord"]
    assert damaged["cut.tfrecord"].records == 5
    assert damaged["none.tfrecord"].records == 0
    assert damaged["cut.tfrecord.gz"].records >= 4
    used = sum(one.records for one in damaged.values())
    assert len(found.splits["train"]) == 3 + 2 + used == found.intake.clean["train"]


def test_no_image_changes_its_split_as_spans_arrive(
    tmp_path: Path, record: Record, picture: Picture
) -> None:
    images = [picture(16, 16, seed=s) for s in range(90)]
    first = [record(image, s % 3) for s, image in enumerate(images[:60])]
    # The later span has some images again, some of them with another label, and a bad record.
    again = [record(image, 0, image__source="x") for image in reversed(images[:30])]
    later = [record(image, s % 3) for s, image in enumerate(images[60:])]
    write(tmp_path / "in/span-0/a.tfrecord", [*first, first[0]])
    write(tmp_path / "in/span-1/b.tfrecord", [*again, *later, b"\x0a\xffno example"])
    rules = Rules(labels=LABELS, checks=Checks(remove_leaked="none"))

    def bring(out: str, *spans: int) -> BroughtIn:
        globs = [f"{tmp_path}/in/span-{span}/*" for span in spans]
        return bring_in(tmp_path, tmp_path / out, rules, CUT, {"all": globs})

    alone, both = bring("alone", 0), bring("both", 0, 1)
    for split in SPLITS:
        assert set(alone.images(split)) <= set(both.images(split))
        assert sum(both.intake.classes[split].values()) == len(both.images(split))
    homes = [split for split in SPLITS for _ in set(both.images(split))]
    assert len(homes) == 90  # no image is in two splits
    assert alone.intake.classes["test"] == dict.fromkeys(LABELS, 4)
    assert sum(alone.intake.clean.values()) == 61
    assert both.reasons == ["no-example"]


def test_val_is_cut_from_train_where_only_test_is_given(
    tmp_path: Path, record: Record, picture: Picture
) -> None:
    for split, seeds in (("train", range(30)), ("test", range(50, 56))):
        write(
            tmp_path / f"in/{split}/a.tfrecord",
            [record(picture(16, 16, seed=s), s % 3) for s in seeds],
        )
    cut = Cut(("train", "val"), (7000, 1500), of="train")
    patterns = {split: [f"{tmp_path}/in/{split}/*"] for split in ("train", "test")}
    rules = Rules(labels=LABELS, checks=Checks(remove_leaked="none"))
    found = bring_in(tmp_path, tmp_path / "out", rules, cut, patterns)
    assert set(found.images("test")) == {picture(16, 16, seed=s) for s in range(50, 56)}
    assert set(found.intake.classes["val"].values()) <= {1, 2}
    assert found.intake.clean["train"] + found.intake.clean["val"] == 30


def test_records_of_other_names_come_out_with_those_of_the_contract(
    tmp_path: Path, record: Record, picture: Picture
) -> None:
    def renamed(seed: int, label: bytes | list[int]) -> bytes:
        example = tf.train.Example.FromString(record(picture(seed=seed), image__source="phone"))
        features = example.features.feature
        features["picture"].CopyFrom(features.pop("image/encoded"))
        kind = "bytes_list" if isinstance(label, bytes) else "int64_list"
        getattr(features["y"], kind).value.extend([label] if isinstance(label, bytes) else label)
        return example.SerializeToString()

    labels: list[bytes | list[int]] = [[1], b"2", LABELS[2].encode(), [0, 0, 1], [0], [0, 1, 1]]
    content = [renamed(seed, label) for seed, label in enumerate(labels)]
    write(tmp_path / "in/train/a.tfrecord", content)
    names = Features(image="picture", label="y", label_base=1)
    found = bring_in(tmp_path / "in", tmp_path / "out", Rules(labels=LABELS, features=names))
    examples = found.splits["train"]
    assert sorted(value(one, "image/class/label") for one in examples) == [0, 1, 2, 2]
    assert set(found.images("train")) == {picture(seed=seed) for seed in range(4)}
    for example in examples:
        text = LABELS[value(example, "image/class/label")]
        assert value(example, "image/class/text") == text.encode()
        assert value(example, "image/source") == b"phone"
        assert not {"picture", "y"} & set(example.features.feature)
    assert found.reasons == ["unknown-label", "unknown-label"]


def test_a_group_stays_together(tmp_path: Path, record: Record, picture: Picture) -> None:
    records = [
        record(picture(16, 16, seed=s), 0, image__source=f"patient-{s % 12}") for s in range(60)
    ]
    write(tmp_path / "in/a.tfrecord", [*records, record(picture(16, 16, seed=99), 0)])
    checks = Checks(remove_leaked="none")
    rules = Rules(labels=LABELS, group="image/source", checks=checks)
    found = bring_in(tmp_path / "in", tmp_path / "out", rules, CUT)
    homes: dict[bytes, set[str]] = {}
    for split in SPLITS:
        for example in found.splits[split]:
            if "image/source" in example.features.feature:
                homes.setdefault(value(example, "image/source"), set()).add(split)
    assert len(homes) == 12
    assert {len(splits) for splits in homes.values()} == {1}
    assert len({split for splits in homes.values() for split in splits}) > 1


@pytest.mark.parametrize(("leaks", "left"), [("none", {1, 2, 3}), ("exact", {2, 3}), ("near", {3})])
def test_leaked_copies_leave_train_and_never_test(
    tmp_path: Path, record: Record, picture: Picture, leaks: str, left: set[int]
) -> None:
    again = picture(80, 60, kind="JPEG", seed=2, quality=70)
    write(
        tmp_path / "in/train/a.tfrecord",
        [record(i, 0) for i in (picture(80, 60, seed=1), again, picture(80, 60, seed=3))],
    )
    write(tmp_path / "in/val/a.tfrecord", [record(picture(80, 60, seed=1), 1)])
    write(tmp_path / "in/test/a.tfrecord", [record(picture(40, 30, seed=2), 0)])
    rules = Rules(labels=LABELS, checks=Checks(remove_leaked=leaks))  # type: ignore[arg-type]
    found = bring_in(tmp_path / "in", tmp_path / "out", rules)
    seeds = {picture(80, 60, seed=1): 1, again: 2, picture(80, 60, seed=3): 3}
    assert {seeds[image] for image in found.images("train")} == left
    assert len(found.splits["val"]) == len(found.splits["test"]) == 1
    assert found.intake.removed == 3 - len(left)
    assert found.reasons == ["leaked"] * (3 - len(left))
    assert found.intake.quarantined == {}
    assert (found.intake.exact.across, found.intake.near.across) == (1, 1)
    assert (found.intake.exact.within, found.intake.near.within) == (0, 0)
    assert found.intake.conflicting == 1


def test_copies_within_a_split_stay(tmp_path: Path, record: Record, picture: Picture) -> None:
    _write_splits(tmp_path / "in", record, picture)
    write(tmp_path / "in/train/b.tfrecord", [record(picture(seed=50), 0)] * 4)
    found = bring_in(tmp_path / "in", tmp_path / "out")
    assert len(found.splits["train"]) == 7
    assert (found.intake.exact.within, found.intake.exact.across) == (3, 0)
    assert (found.intake.near.within, found.intake.near.across) == (0, 0)
    assert found.intake.removed == 0


def test_nothing_at_all_comes_in(tmp_path: Path, record: Record) -> None:
    for split in SPLITS:
        write(tmp_path / "in" / split / "a.tfrecord", [record(b"nothing", 0)])
    found = bring_in(tmp_path / "in", tmp_path / "out")
    assert found.intake.clean == dict.fromkeys(SPLITS, 0)
    assert found.intake.quarantined == {"undecodable": 3}


_IMAGES = st.one_of(
    st.binary(max_size=200),
    st.builds(
        _picture,
        st.integers(1, 40),
        st.integers(1, 40),
        kind=st.sampled_from(["PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF"]),
        seed=st.integers(0, 3),
    ),
).flatmap(
    lambda image: st.one_of(st.just(image), st.integers(0, len(image)).map(lambda end: image[:end]))
)
_RECORDS = st.one_of(
    st.binary(max_size=60),
    st.builds(
        _record,
        _IMAGES,
        st.one_of(st.none(), st.integers(-2, len(LABELS))),
        st.one_of(st.none(), st.sampled_from(["", "dog", *LABELS])),
    ),
)


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.fixed_dictionaries({split: st.lists(_RECORDS, max_size=12) for split in SPLITS}))
def test_whatever_goes_in_comes_out_once(given_records: dict[str, list[bytes]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for split, records in given_records.items():
            write(folder / "in" / split / "a.tfrecord", records)
        found = bring_in(folder / "in", folder / "out")
    kept: dict[str, list[bytes]] = {split: [] for split in SPLITS}
    for one in found.quarantine:
        assert one.reason in _REASONS
        split = Path(one.file).parent.name
        assert given_records[split][one.number] == one.record
        kept[split].append(one.record)
    for split, records in given_records.items():
        clean = Counter(records)
        clean.subtract(kept[split])
        assert min(clean.values(), default=0) >= 0
        expected = Counter()
        for record, count in clean.items():
            if count:
                example = tf.train.Example.FromString(record)
                expected[value(example, "image/encoded")] += count
        assert Counter(found.images(split)) == +expected
        for example in found.splits[split]:
            label = value(example, "image/class/label")
            assert value(example, "image/class/text").decode() == LABELS[label]
    assert found.intake.records == sum(len(records) for records in given_records.values())
    assert sum(found.intake.clean.values()) == sum(len(found.splits[s]) for s in SPLITS)
    assert found.intake.removed + sum(found.intake.quarantined.values()) == len(found.quarantine)
