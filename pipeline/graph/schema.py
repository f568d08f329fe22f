"""The curated schema: what an example must look like. It comes from the config, not from data."""

import hashlib
from collections.abc import Sequence

import tensorflow as tf
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from trainer.features import (
    FILENAME,
    FORMAT,
    IMAGE,
    LABEL,
    MEASURED,
    SOURCE,
    TEXT,
    WHOLE,
)

# The data contract's optional features (TF-Slim's names for ImageNet records).
_OPTIONAL = dict.fromkeys((FILENAME, FORMAT, SOURCE), schema_pb2.BYTES)
# The features that ImageExampleGen measures.
_MEASURED = {name: schema_pb2.INT if name in WHOLE else schema_pb2.FLOAT for name in MEASURED}


def curated(labels: Sequence[str], slices: Sequence[str]) -> schema_pb2.Schema:
    """Builds the schema of an example.

    Each feature in `slices` must be in the data; one that the data contract does not name is text.
    """
    image = schema_pb2.Feature(
        name=IMAGE,
        type=schema_pb2.BYTES,
        image_domain=schema_pb2.ImageDomain(),
        presence=schema_pb2.FeaturePresence(min_fraction=1.0, min_count=1),
        shape=schema_pb2.FixedShape(dim=[schema_pb2.FixedShape.Dim(size=1)]),
    )
    label = _optional(LABEL, schema_pb2.INT)
    label.int_domain.CopyFrom(
        schema_pb2.IntDomain(name=label.name, min=0, max=len(labels) - 1, is_categorical=True)
    )
    text = _optional(TEXT, schema_pb2.BYTES)
    text.string_domain.CopyFrom(schema_pb2.StringDomain(name=text.name, value=labels))
    known = {**_OPTIONAL, **_MEASURED}
    kinds = {**known, **{name: schema_pb2.BYTES for name in slices if name not in known}}
    optional = [_optional(name, kind) for name, kind in kinds.items() if name not in (LABEL, TEXT)]
    for feature in optional:
        # Otherwise nobody would notice a misspelt feature.
        if feature.name in slices:
            feature.presence.min_count = 1
    return schema_pb2.Schema(feature=[image, label, text, *optional])


def _optional(name: str, kind: int) -> schema_pb2.Feature:
    return schema_pb2.Feature(name=name, type=kind, value_count=schema_pb2.ValueCount(min=0, max=1))


def write(schema: schema_pb2.Schema, folder: str) -> str:
    """Writes the schema to a file named by a hash of its content, and returns the path.

    TFX keys a cached ImportSchemaGen by the path alone, so another schema needs another path.
    """
    path = location(schema, folder)
    tf.io.gfile.makedirs(folder)
    with tf.io.gfile.GFile(path, "w") as file:
        file.write(text_format.MessageToString(schema))
    return path


def location(schema: schema_pb2.Schema, folder: str) -> str:
    """Returns the path that `write` gives the schema; nothing is written."""
    text = text_format.MessageToString(schema)
    return f"{folder}/schema-{hashlib.sha256(text.encode()).hexdigest()[:16]}.pbtxt"
