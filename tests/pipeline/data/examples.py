"""Serialised tf.Examples with features of any name."""

from collections.abc import Sequence

import tensorflow as tf

Value = bytes | int | float | Sequence[int] | Sequence[float]


def serialized(**values: Value) -> bytes:
    """Returns an example; a name's two underscores stand for a slash."""
    one = tf.train.Example()
    for name, value in values.items():
        feature = one.features.feature[name.replace("__", "/")]
        several = value if isinstance(value, list) else [value]
        kind = {bytes: "bytes_list", int: "int64_list", float: "float_list"}[type(several[0])]
        getattr(feature, kind).value.extend(several)
    return one.SerializeToString()
