"""Reads the first records of a TFRecord file, to check data before anything heavy loads.

Every library in the stack that reads TFRecord files or tf.Example messages imports TensorFlow,
which takes about 8 seconds; a config or data error has to be told within one. So the framing is
read by `components.tfrecord_file`, as in the pipeline, and this module decodes tf.Example itself,
and no more of it than that check needs.

Sources:
    tf.Example: tensorflow/core/example/example.proto and feature.proto
    Wire format: https://protobuf.dev/programming-guides/encoding
"""

import itertools
import struct
from collections.abc import Iterator
from pathlib import Path

from components import tfrecord_file

Values = list[bytes] | list[float] | list[int]

_VARINT, _FIXED64, _LENGTH_DELIMITED, _FIXED32 = 0, 1, 2, 5
_BYTES_LIST, _FLOAT_LIST, _INT64_LIST = 1, 2, 3


def examples(path: str | Path, limit: int) -> Iterator[dict[str, Values]]:
    """Yields the first records of a TFRecord file, each as feature name -> values.

    A file may be gzipped, whatever its name.

    Args:
        path: the file.
        limit: how many records to read at most.

    Raises:
        ValueError: the file is truncated, damaged or no TFRecord file of tf.Examples.
        OSError: the file cannot be opened or read.
    """
    number = 0
    with Path(path).open("rb") as stream:
        try:
            for record in itertools.islice(tfrecord_file.records(stream), limit):
                yield decode(record)
                number += 1
        except ValueError as error:
            raise ValueError(f"{path}: record {number} cannot be read: {error}") from error


def decode(record: bytes) -> dict[str, Values]:
    """Decodes a serialised tf.Example into feature name -> values.

    Raises:
        ValueError: the bytes are no tf.Example.
    """
    decoded: dict[str, Values] = {}
    for features in _messages(record, 1):
        for entry in _messages(features, 1):
            # Either field of a map's entry is left out when it is empty.
            name = b"".join(_messages(entry, 1)[-1:]).decode("utf-8")
            decoded[name] = _feature(b"".join(_messages(entry, 2)[-1:]))
    return decoded


def _feature(message: bytes) -> Values:
    """Decodes a tf.train.Feature, in which the last of the three lists holds."""
    values: Values = []
    for number, _, content in _fields(message):
        if number == _BYTES_LIST:
            values = _messages(_as_bytes(content), 1)
        elif number == _FLOAT_LIST:
            values = _floats(_as_bytes(content))
        elif number == _INT64_LIST:
            values = _integers(_as_bytes(content))
    return values


def _floats(message: bytes) -> list[float]:
    """Decodes a FloatList, packed (one run of bytes) or not (a field for each value)."""
    values: list[float] = []
    for number, wire_type, content in _fields(message):
        if number == 1 and wire_type in (_FIXED32, _LENGTH_DELIMITED):
            packed = _as_bytes(content)
            if len(packed) % 4:
                raise ValueError("a list of floats has a length that is no multiple of 4 bytes")
            values.extend(struct.unpack(f"<{len(packed) // 4}f", packed))
    return values


def _integers(message: bytes) -> list[int]:
    """Decodes an Int64List, packed or not; varints hold negative numbers modulo 2^64."""
    unsigned: list[int] = []
    for number, _, content in _fields(message):
        if number != 1:
            continue
        if isinstance(content, int):
            unsigned.append(content)
            continue
        position = 0
        while position < len(content):
            value, position = _varint(content, position)
            unsigned.append(value)
    return [value - (1 << 64) if value >> 63 else value for value in unsigned]


def _messages(message: bytes, wanted: int) -> list[bytes]:
    """Lists the contents of all fields that have this number, which must hold bytes."""
    return [_as_bytes(content) for number, _, content in _fields(message) if number == wanted]


def _as_bytes(content: int | bytes) -> bytes:
    if isinstance(content, int):
        raise ValueError("it is no tf.Example: a number stands where a message is expected")
    return content


def _fields(message: bytes) -> Iterator[tuple[int, int, int | bytes]]:
    """Yields the number, wire type and content of each field; varints as int, all else as bytes."""
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        number, wire_type = tag >> 3, tag & 7
        if wire_type == _VARINT:
            value, position = _varint(message, position)
            yield number, wire_type, value
            continue
        if wire_type == _LENGTH_DELIMITED:
            length, position = _varint(message, position)
        elif wire_type in (_FIXED32, _FIXED64):
            length = 4 if wire_type == _FIXED32 else 8
        else:
            raise ValueError(f"it is no tf.Example: wire type {wire_type} does not occur in one")
        end = position + length
        if end > len(message):
            raise ValueError("it is no tf.Example: a field is longer than the record")
        yield number, wire_type, message[position:end]
        position = end


def _varint(message: bytes, position: int) -> tuple[int, int]:
    """Decodes a varint, low 7 bits first; returns it and the position behind it."""
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(message):
            break
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, position
    raise ValueError("it is no tf.Example: a number in it does not end")
