"""The pure-Python reader agrees with TensorFlow, and says what is wrong with a damaged file."""

import gzip
import struct
from pathlib import Path

import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.data import peek

FLOATS = st.floats(width=32, allow_nan=False)
INTEGERS = st.integers(-(2**63), 2**63 - 1)
FEATURES = st.dictionaries(
    st.text(max_size=20),
    st.one_of(
        st.lists(st.binary(max_size=150), max_size=5).map(
            lambda values: tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
        ),
        st.lists(FLOATS, max_size=12).map(
            lambda values: tf.train.Feature(float_list=tf.train.FloatList(value=values))
        ),
        st.lists(INTEGERS, max_size=12).map(
            lambda values: tf.train.Feature(int64_list=tf.train.Int64List(value=values))
        ),
        st.just(tf.train.Feature()),
    ),
    max_size=4,
)


def _values(feature: tf.train.Feature) -> list[object]:
    kind = feature.WhichOneof("kind")
    return list(getattr(feature, kind).value) if kind else []


@settings(max_examples=60, deadline=None)
@given(FEATURES)
def test_decode_agrees_with_tensorflow(features):
    example = tf.train.Example(features=tf.train.Features(feature=features))

    decoded = peek.decode(example.SerializeToString())

    expected = {name: _values(feature) for name, feature in example.features.feature.items()}
    assert decoded == expected
    for name, values in decoded.items():
        assert [type(value) for value in values] == [type(value) for value in expected[name]]


def test_decode_keeps_not_a_number():
    feature = tf.train.Feature(float_list=tf.train.FloatList(value=[float("nan")]))
    example = tf.train.Example(features=tf.train.Features(feature={"a": feature}))
    assert str(peek.decode(example.SerializeToString())) == "{'a': [nan]}"


@given(st.binary(max_size=200))
def test_bytes_of_any_kind_are_an_example_or_a_value_error(record):
    try:
        decoded = peek.decode(record)
    except ValueError:
        return
    assert all(isinstance(values, list) for values in decoded.values())


def _field(number: int, wire_type: int, content: bytes) -> bytes:
    return bytes([number << 3 | wire_type]) + content


def _message(number: int, content: bytes) -> bytes:
    return _field(number, 2, bytes([len(content)]) + content)


def _example(kind: int, values: bytes) -> bytes:
    feature = _message(kind, values)
    return _message(1, _message(1, _message(1, b"a") + _message(2, feature)))


def test_unpacked_lists_are_read_as_packed_ones():
    minus_two = b"\xfe" + b"\xff" * 8 + b"\x01"
    integers = _example(3, _field(1, 0, b"\x05") + _field(1, 0, minus_two))
    floats = _example(2, _field(1, 5, struct.pack("<f", 0.5)) + _field(1, 5, struct.pack("<f", -2)))
    # TensorFlow's answer shows that the bytes above are what they claim to be.
    assert list(tf.train.Example.FromString(integers).features.feature["a"].int64_list.value) == [
        5,
        -2,
    ]
    assert peek.decode(integers) == {"a": [5, -2]}
    assert peek.decode(floats) == {"a": [0.5, -2.0]}


def test_unknown_fields_are_skipped():
    unknown = _field(9, 0, b"\x07") + _field(10, 1, b"8 bytes.") + _field(11, 5, b"four")
    assert peek.decode(unknown + _example(3, _field(1, 0, b"\x05"))) == {"a": [5]}


def _write(path: Path, count: int = 5) -> Path:
    options = "GZIP" if path.suffix == ".gz" else None
    with tf.io.TFRecordWriter(str(path), options) as writer:
        for number in range(count):
            feature = tf.train.Feature(int64_list=tf.train.Int64List(value=[number]))
            example = tf.train.Example(features=tf.train.Features(feature={"id": feature}))
            writer.write(example.SerializeToString())
    return path


@pytest.mark.parametrize("name", ["a.tfrecord", "a.tfrecord.gz", "a.tfrecord-00000-of-00001"])
def test_the_first_records_of_a_file(tmp_path, name):
    path = _write(tmp_path / name)
    assert list(peek.examples(path, 3)) == [{"id": [0]}, {"id": [1]}, {"id": [2]}]
    assert len(list(peek.examples(path, 100))) == 5


def test_a_file_without_records(tmp_path):
    assert list(peek.examples(_write(tmp_path / "a.tfrecord", count=0), 10)) == []


@pytest.mark.parametrize("name", ["a.tfrecord", "a.tfrecord.gz"])
def test_a_file_cut_anywhere_is_an_error_or_shorter(tmp_path, name):
    whole = _write(tmp_path / name).read_bytes()
    path = tmp_path / f"cut-{name}"
    complete = []
    for length in range(1, len(whole)):
        path.write_bytes(whole[:length])
        try:
            complete.append(len(list(peek.examples(path, 100))))
        except ValueError as error:
            assert str(path) in str(error)
    # Cut between records, a plain file is a valid one; a compressed file never is.
    assert complete == ([1, 2, 3, 4] if name == "a.tfrecord" else [])


def test_every_flipped_byte_is_noticed(tmp_path):
    whole = _write(tmp_path / "a.tfrecord", count=2).read_bytes()
    path = tmp_path / "flipped.tfrecord"
    for position in range(len(whole)):
        flipped = bytearray(whole)
        flipped[position] ^= 0x10
        path.write_bytes(flipped)
        with pytest.raises(ValueError, match=r"flipped\.tfrecord: record [01] cannot be read: "):
            list(peek.examples(path, 100))


def test_the_name_need_not_say_whether_a_file_is_compressed(tmp_path):
    whole = _write(tmp_path / "a.tfrecord").read_bytes()
    (tmp_path / "plain.tfrecord.gz").write_bytes(whole)
    (tmp_path / "packed.tfrecord").write_bytes(gzip.compress(whole))
    for name in ("plain.tfrecord.gz", "packed.tfrecord"):
        assert len(list(peek.examples(tmp_path / name, 100))) == 5


def test_a_record_that_is_no_example(tmp_path):
    path = tmp_path / "a.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(b"\x0a\xffno example")
    with pytest.raises(ValueError, match=r"record 0 cannot be read: it is no tf\.Example"):
        list(peek.examples(path, 1))
