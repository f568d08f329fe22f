"""Names of records, by which people find an image again: its file name, or its place in the span.

`ImageExampleGen` writes the name into `image/filename` of each record that has none, so that every
later step finds it there.
"""

from __future__ import annotations

import re

import tensorflow as tf
from google.protobuf.message import DecodeError

from trainer.features import FILENAME

_SPAN = re.compile(r"span-\d+")


def place(path: str, number: int) -> str:
    """Returns where a record lies, such as `span-3/train/data-00000.tfrecord.gz:17`.

    Args:
        path: the record's file. The place starts at the span's folder; without one, at the folder
            of the file.
        number: the record's number in the file, from 0.
    """
    parts = path.split("/")
    spans = [index for index, part in enumerate(parts) if _SPAN.fullmatch(part)]
    start = spans[-1] if spans else max(0, len(parts) - 2)
    found = "/".join(parts[start:]).encode("utf-8", "surrogateescape")
    return f"{readable(found)}:{number}"


def given(record: bytes) -> str:
    """Returns the file name in a record, which may be any bytes; "" if there is none."""
    try:
        features = tf.train.Example.FromString(record).features.feature
    except DecodeError:
        return ""
    return of(features[FILENAME]) if FILENAME in features else ""


def of(feature: tf.train.Feature) -> str:
    """Returns the name that the feature `image/filename` holds; "" if it is empty."""
    values = feature.bytes_list.value
    return readable(values[0]) if len(values) else ""


def readable(name: bytes) -> str:
    """Returns a name as text; bytes that are no UTF-8 become question marks."""
    return name.decode("utf-8", "replace")
