"""Reads the first records of a TFRecord file before anything heavy loads.

A data error must be reported within a second, but TensorFlow, which defines tf.Example, takes eight
to load. So `components.tfrecord_file` splits the file into records, and this module declares
tf.Example to protobuf again, in a descriptor pool of its own, where it cannot clash with
TensorFlow's.

Sources:
    tf.Example: tensorflow/core/example/example.proto and feature.proto
"""

import functools
import itertools
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, message_factory
from google.protobuf.message import DecodeError

from components import tfrecord_file

Values = list[bytes] | list[float] | list[int]
Record = Mapping[str, Values]

# Message -> the names and types of its fields, which protobuf numbers from 1; * means repeated.
_MESSAGES = {
    "BytesList": {"value": "bytes*"},
    "FloatList": {"value": "float*"},
    "Int64List": {"value": "int64*"},
    "Feature": {"bytes_list": "BytesList", "float_list": "FloatList", "int64_list": "Int64List"},
    "Entry": {"key": "string", "value": "Feature"},
    "Features": {"feature": "Entry*"},
    "Example": {"features": "Features"},
}


def examples(path: str | Path, limit: int) -> Iterator[dict[str, Values]]:
    """Yields the first records of a TFRecord file, each as feature name -> values.

    A file may be gzipped, whatever its name.

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
    example = _example_class()()
    try:
        with warnings.catch_warnings():
            # protobuf only warns if it stops before the end.
            warnings.simplefilter("ignore", RuntimeWarning)
            parsed = example.ParseFromString(record)
    except DecodeError:
        parsed = -1
    if parsed != len(record):
        raise ValueError("it is no tf.Example")
    # If a feature name is repeated, the last entry counts, as in protobuf's own maps.
    return {entry.key: _values(entry.value) for entry in example.features.feature}


def values(record: Record, name: str | None) -> Values:
    """Returns the values of a feature; none if the record lacks it, or if there is no name."""
    return record.get(name, []) if name is not None else []


def _values(feature: Any) -> Values:
    kind = feature.WhichOneof("kind")
    return list(getattr(feature, kind).value) if kind else []


@functools.cache
def _example_class() -> Any:
    """Returns the message class of tf.Example.

    The map of features is declared as it is serialised: repeated entries of key and value.
    """
    field_type = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="peek.proto", package="peek", syntax="proto3")
    for message_name, fields in _MESSAGES.items():
        message = file.message_type.add(name=message_name)
        for number, (name, kind) in enumerate(fields.items(), start=1):
            field = message.field.add(name=name, number=number)
            repeated = kind.endswith("*")
            field.label = field_type.LABEL_REPEATED if repeated else field_type.LABEL_OPTIONAL
            base = kind.removesuffix("*")
            if base in _MESSAGES:
                field.type, field.type_name = field_type.TYPE_MESSAGE, f".peek.{base}"
            else:
                field.type = field_type.Type.Value(f"TYPE_{base.upper()}")
            if message_name == "Feature":
                field.oneof_index = 0
        if message_name == "Feature":
            message.oneof_decl.add(name="kind")
    return message_factory.GetMessages([file])["peek.Example"]
