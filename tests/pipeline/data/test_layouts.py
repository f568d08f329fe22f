"""Splits are found by their usual names or by those of the config, in folders and in file names."""

import json
from collections.abc import Iterable
from pathlib import Path

import pytest
import yaml

from pipeline.config import Config, ConfigError
from pipeline.config.data import SplitNames
from pipeline.data import layouts, spans


def _touch(root: Path, names: Iterable[str]) -> str:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return str(root)


def _found(root: Path, *names: str, called: dict[str, str] | None = None) -> dict[str, list[str]]:
    """Returns split -> the files that its glob matches."""
    split_names = SplitNames(**called) if called is not None else None
    globs = layouts.patterns(_touch(root, names), split_names)
    return {
        split: sorted(str(path.relative_to(root)) for path in root.glob(glob))
        for split, glob in globs.items()
    }


def _refusal(root: Path, *names: str, called: dict[str, str] | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        _found(root, *names, called=called)
    return str(caught.value).replace(str(root), "ROOT")


@pytest.mark.parametrize(
    ("folders", "splits"),
    [
        (("train", "validation", "test"), ("train", "val", "test")),
        (("training", "valid", "testing"), ("train", "val", "test")),
        (("train", "eval", "test"), ("train", "val", "test")),
        (("train", "val", "eval"), ("train", "val", "test")),
        (("train", "test"), ("train", "test")),
        (("train", "eval"), ("train", "test")),
        (("train",), ("all",)),
    ],
)
def test_usual_names_of_folders(tmp_path, folders, splits):
    found = _found(tmp_path, *(f"{folder}/a.tfrecord" for folder in folders), "notes/b.tfrecord")
    used = {files[0].partition("/")[0] for files in found.values()}
    assert set(found) == set(splits)
    assert used == set(folders)
    roles = {split: files[0].partition("/")[0] for split, files in found.items()}
    if "eval" in folders:
        assert roles["val" if "test" in folders else "test"] == "eval"


@pytest.mark.parametrize(
    "form",
    [
        "cifar10-{}.tfrecord-00000-of-00001",
        "{}.tfrecord",
        "{}-00000-of-00002.tfrecord.gz",
        "flowers_{}.tfrecords",
        "flowers_{}_00000-of-00005.tfrecord",
        "flowers_{}-0.tfrecord",
        "flowers-{}-0.tfrecord",
    ],
)
def test_files_tell_their_split_by_their_names(tmp_path, form):
    names = {split: form.format(split) for split in ("train", "validation", "test")}
    found = _found(tmp_path, *names.values())
    assert found == {
        "train": [names["train"]],
        "val": [names["validation"]],
        "test": [names["test"]],
    }


def test_a_set_of_tensorflow_datasets_may_have_further_splits(tmp_path):
    found = _found(
        tmp_path,
        *(f"svhn-{split}.tfrecord-00000-of-00001" for split in ("train", "test", "extra")),
        "dataset_info.json",
    )
    assert found == {
        "train": ["svhn-train.tfrecord-00000-of-00001"],
        "test": ["svhn-test.tfrecord-00000-of-00001"],
    }


def test_files_whose_names_tell_only_in_part_are_one_set(tmp_path):
    assert set(_found(tmp_path, "train.tfrecord", "car.tfrecord", "bus.tfrecord")) == {"all"}


def test_names_of_the_config_count_alone(tmp_path):
    called = {"train": "learn", "val": "train", "test": "holdout"}
    folders = [f"{name}/a.tfrecord" for name in ("learn", "train", "holdout", "test")]
    found = _found(tmp_path, *folders, called=called)
    assert {split: files[0].partition("/")[0] for split, files in found.items()} == called


def test_names_of_the_config_may_be_of_files_or_patterns(tmp_path):
    files = ("x-a.tfrecord", "x-b.tfrecord", "y-c.tfrecord")
    expected = {"train": ["x-a.tfrecord"], "val": ["x-b.tfrecord"], "test": ["y-c.tfrecord"]}
    plain = {"train": "a", "val": "b", "test": "c"}
    assert _found(tmp_path, *files, called=plain) == expected
    globs = {"train": "x-a*", "val": "x-b*", "test": "y-*"}
    assert _found(tmp_path, *files, called=globs) == expected


@pytest.mark.parametrize(
    ("names", "called", "expected"),
    [
        (("train", "val"), None, "did you mean data.split_names: {train: train, test: val}"),
        (("val", "test"), None, "found splits test, val; allowed: train, val and test"),
        (("train", "val", "valid", "test"), None, "found val, valid side by side; allowed: one"),
        (("train", "val", "test", "eval"), None, "data.split_names: {train: train, val: val, test"),
        (
            ("train", "tset"),
            {"train": "train", "test": "test"},
            "data.split_names.test: found test, but ROOT has no folder and no file of that name;"
            " allowed: train, tset; did you mean tset?",
        ),
    ],
)
def test_what_is_not_clear_is_refused(tmp_path, names, called, expected):
    assert expected in _refusal(tmp_path, *(f"{one}/a.tfrecord" for one in names), called=called)


def test_the_folder_above_a_set_of_tensorflow_datasets(tmp_path):
    _touch(tmp_path, ("3.0.2/cifar10-train.tfrecord-00000-of-00001", "3.0.2/dataset_info.json"))
    config = Config.model_validate(
        {"name": "a", "data": {"root": str(tmp_path), "labels": ["cat", "dog"]}}
    )
    with pytest.raises(ConfigError, match=f"did you mean {tmp_path}/3.0.2\\?"):
        spans.find(config)


def test_files_without_an_ending_are_proposed_and_found(tmp_path):
    """As TF-Slim writes ImageNet."""
    _touch(
        tmp_path, (f"{split}-0000{n}-of-00002" for split in ("train", "validation") for n in "01")
    )
    data = {"root": str(tmp_path), "labels": ["cat", "dog"]}
    with pytest.raises(ConfigError) as refused:
        spans.find(Config.model_validate({"name": "a", "data": data}))
    _, proposed = str(refused.value).split("did you mean data.split_names: ")
    names = yaml.safe_load(proposed.rstrip("?"))
    config = Config.model_validate({"name": "a", "data": {**data, "split_names": names}})
    span = spans.find(config)
    assert set(span.patterns) == {"train", "test"}
    matched = {split: len(list(tmp_path.glob(glob))) for split, glob in span.patterns.items()}
    assert matched == {"train": 2, "test": 2}


@pytest.mark.parametrize(
    ("called", "expected"),
    [
        ({"val": "a"}, "without test; allowed"),
        ({"train": "a", "test": "a"}, "a name of its own for each split"),
        ({"train": "a/b"}, "allowed: the name of a folder in the span"),
        ({"train": " "}, "allowed: the name of a folder in the span"),
    ],
)
def test_names_that_cannot_be(called, expected):
    with pytest.raises(ValueError, match=expected):
        SplitNames(**called)


def test_a_root_that_is_not_listed_takes_the_names_of_the_config():
    names = SplitNames(train="training", test="*-test.tfrecord*")
    assert layouts.unlisted(names, split_folders=False) == {
        "train": "training/*.tfrecord*",
        "test": "*-test.tfrecord*",
    }
    assert layouts.unlisted(None, split_folders=False) == {"all": "*.tfrecord*"}
    assert set(layouts.unlisted(None, split_folders=True)) == {"train", "val", "test"}


def test_what_is_cut(tmp_path):
    def cut(*names: str) -> tuple[str, ...]:
        root = tmp_path / "-".join(names).replace("/", "")
        _touch(root, [f"{name}/a.tfrecord" for name in names])
        data = {"root": str(root), "labels": ["cat", "dog"]}
        return spans.find(Config.model_validate({"name": "a", "data": data})).cut

    assert cut("train", "val", "test") == ()
    assert cut("train", "test") == ("train", "val")
    assert cut("train") == cut("span-0") == ("train", "val", "test")


def test_labels_of_a_set_of_tensorflow_datasets(tmp_path):
    from pipeline.config import read_labels

    (tmp_path / "dataset_info.json").write_text(json.dumps({"name": "a"}))
    (tmp_path / "label.labels.txt").write_text("cat\ndog\n")
    config = Config.model_validate(
        {"name": "a", "data": {"root": str(tmp_path), "features": {"label": "label"}}}
    )
    assert read_labels(config) == ("cat", "dog")
    for number in (0, 1):
        (tmp_path / f"span-{number}").mkdir()
        (tmp_path / f"span-{number}/label.labels.txt").write_text("cat\ndog\n")
    (tmp_path / "label.labels.txt").unlink()
    assert read_labels(config) == ("cat", "dog")
    (tmp_path / "span-1/label.labels.txt").write_text("dog\ncat\n")
    with pytest.raises(ConfigError, match="one list for all"):
        read_labels(config)
    (tmp_path / "labels.txt").write_text("cat\ndog\nowl\n")
    assert read_labels(config) == ("cat", "dog", "owl")
