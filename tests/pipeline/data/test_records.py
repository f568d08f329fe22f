"""Records of other names and forms of label are read as told; what is not told is proposed."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import tensorflow as tf

from components.image_example_gen.options import Features
from pipeline.config import ConfigError
from pipeline.data import records
from tests.pipeline.data.examples import serialized

LABELS = ("cat", "dog", "owl")
PNG = b"\x89PNG and so on"


def _write(path: Path, content: Sequence[bytes]) -> str:
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in content:
            writer.write(record)
    return str(path)


def _check(folder: Path, content: Sequence[bytes], names: Features) -> None:
    records.check({"data": [_write(folder / "a.tfrecord", content)]}, LABELS, names)


def _refusal(folder: Path, content: Sequence[bytes], names: Features) -> str:
    with pytest.raises(ConfigError) as caught:
        _check(folder, content, names)
    return str(caught.value)


@pytest.mark.parametrize(
    "label",
    [2, b"2", b"owl", b" owl ", [0, 0, 1], [0.0, 0.0, 1.0]],
    ids=["number", "digits", "name", "name with blanks", "one-hot", "one-hot floats"],
)
def test_forms_of_a_label(tmp_path, label):
    names = Features(image="image_raw", label="label")
    _check(tmp_path, [serialized(image_raw=PNG, label=label)], names)
    with pytest.raises(ConfigError):
        records.check({"data": [str(tmp_path / "a.tfrecord")]}, ("cat", "dog"), names)


@pytest.mark.parametrize(
    ("record", "proposal"),
    [
        ({"image": PNG, "label": 1}, "{image: image, label: label}"),
        ({"image": PNG, "label": 1, "id": b"train_07"}, "{image: image, label: label}"),
        ({"image": PNG, "label": 1, "height": 2, "width": 2}, "{image: image, label: label}"),
        ({"image_raw": PNG, "label": [0, 1, 0]}, "{image: image_raw, label: label}"),
        ({"picture": PNG, "animal": b"dog"}, "{image: picture, label: animal}"),
        (
            {"image": PNG, "label": 1, "label_name": b"dog"},
            "{image: image, label: label, text: label_name}",
        ),
        ({"image__encoded": PNG, "label": 1}, "{label: label}"),
        ({"image": PNG, "image__class__label": 1}, "{image: image}"),
    ],
)
def test_names_are_looked_up_and_proposed(tmp_path, record, proposal):
    told = _refusal(tmp_path, [serialized(**record)], Features())
    assert told.endswith(f"; did you mean data.features: {proposal}?")
    assert "\n" not in told


def test_names_that_say_nothing_are_listed(tmp_path):
    told = _refusal(tmp_path, [serialized(a=b"raw pixels", b=1)], Features())
    assert told.endswith("; the record has a, b")


def test_labels_from_one_are_proposed_even_if_most_would_fit(tmp_path):
    content = [serialized(image=PNG, label=1 + i % 3) for i in range(9)]
    names = Features(image="image", label="label")
    assert "did you mean data.features.label_base: 1?" in _refusal(tmp_path, content, names)
    _check(tmp_path, content, names.model_copy(update={"label_base": 1}))


def test_names_beside_numbers_tell_where_the_numbers_start(tmp_path):
    content = [serialized(image__encoded=PNG, image__class__label=1, image__class__text=b"cat")]
    assert "data.features.label_base: 1?" in _refusal(tmp_path, content, Features())
    _check(tmp_path, content, Features(label_base=1))
    right = [serialized(image__encoded=PNG, image__class__label=1, image__class__text=b"dog")]
    assert "data.features.label_base: 0?" in _refusal(tmp_path, right, Features(label_base=1))


def test_labels_from_zero_are_proposed(tmp_path):
    content = [serialized(image__encoded=PNG, image__class__label=i % 3) for i in range(9)]
    assert "label_base: 0?" in _refusal(tmp_path, content, Features(label_base=1))


def test_a_feature_that_says_something_else_can_be_left_out(tmp_path):
    wordy = [
        serialized(image__encoded=PNG, image__class__label=1, image__class__text=b"hound, dog")
    ]
    assert "image/class/text: found" in _refusal(tmp_path, wordy, Features())
    _check(tmp_path, wordy, Features(text=None))
    numbered = [serialized(image__encoded=PNG, image__class__label=207, image__class__text=b"dog")]
    _check(tmp_path, numbered, Features(label=None))
    bare = [serialized(image__encoded=PNG, image__class__label=1)]
    assert "found no image/class/text" in _refusal(tmp_path, bare, Features(label=None))
    with pytest.raises(ValueError, match="null for one of them"):
        Features(label=None, text=None)


def test_labels_that_may_start_from_either_are_read_as_told(tmp_path):
    content = [serialized(image__encoded=PNG, image__class__label=1 + i % 2) for i in range(9)]
    _check(tmp_path, content, Features())
    _check(tmp_path, content, Features(label_base=1))


@pytest.mark.parametrize("label", [[0, 0, 0], [1, 1, 0], [2, 0, 0], [0, 1], [0.5, 0.5, 0.0]])
def test_what_is_no_one_hot_label(tmp_path, label):
    told = _refusal(
        tmp_path, [serialized(image__encoded=PNG, image__class__label=label)], Features()
    )
    assert "image/class/label: found" in told


def test_a_class_whose_name_is_digits_is_meant_by_its_name(tmp_path):
    from components.image_example_gen import label_forms

    names = Features()
    assert label_forms.class_id([b"1"], [], ("1", "2", "3"), names) == 0
    assert label_forms.class_id([b"1"], [], LABELS, names) == 1
    assert label_forms.class_id([], ["cafe\u0301".encode()], ("café", "tea"), names) == 0
