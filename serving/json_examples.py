"""Bodies of classify: reads tf.Examples from JSON and writes results as JSON; pure functions.

Source: tensorflow/serving, util/json_tensor.cc, FillClassifyRegressRequestFromJson.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from tensorflow.core.example import example_pb2, feature_pb2
from tensorflow_serving.apis import classification_pb2, input_pb2

from serving.errors import ServingError, invalid
from serving.json_text import bytes_of, is_base64, json_type, shown, written

_KINDS = {"bytes_list": "bytes", "float_list": "float", "int64_list": "int64", None: "UNKNOWN"}


def examples(document: Mapping[str, Any]) -> input_pb2.Input:
    """Reads tf.Examples from the parsed body of a classify request.

    Raises:
        ServingError: the body has no examples, a feature mixes types, or a value has a type that
            no feature holds.
    """
    found = input_pb2.Input()
    if "context" in document:
        found.example_list_with_context.context.CopyFrom(_example(document["context"]))
        target = found.example_list_with_context.examples
    else:
        target = found.example_list.examples
    if "examples" not in document:
        raise _wrong(
            document, "When method is classify, key 'examples' is expected and was not found"
        )
    items = document["examples"]
    if not isinstance(items, list):
        raise _wrong(document, "Expecting 'examples' value to be an list/array")
    if not items:
        raise _wrong(document, "'examples' value is an empty array")
    target.extend(_example(item) for item in items)
    return found


def classifications(result: classification_pb2.ClassificationResult) -> bytes:
    """Returns the JSON body of a classify answer: pairs of label and score for each example."""
    return written(
        {
            "results": [
                # The shortest decimal that reads back as the same float32.
                [[each.label, float(str(np.float32(each.score)))] for each in example.classes]
                for example in result.classifications
            ]
        }
    )


def _wrong(document: Mapping[str, Any], message: str) -> ServingError:
    return invalid(f"JSON Value: {shown(document)} {message}")


def _example(value: Any) -> example_pb2.Example:
    if not isinstance(value, dict):
        raise invalid(f"Example must be JSON object but got JSON {json_type(value)}")
    example = example_pb2.Example()
    for name, content in value.items():
        feature = feature_pb2.Feature()
        for element in content if isinstance(content, list) else [content]:
            _add(element, name, feature)
        try:
            example.features.feature[name].CopyFrom(feature)
        except ValueError:
            raise invalid("A feature's name is not UTF-8") from None
    return example


def _add(value: Any, name: str, feature: feature_pb2.Feature) -> None:
    if isinstance(value, float):
        kind = "float_list"
        with np.errstate(over="ignore"):
            value = float(np.float32(value))
    elif isinstance(value, int):
        kind, value = "int64_list", int(value)
        if not -(2**63) <= value < 2**63:
            raise invalid(f"Feature: {name} has uint64_t element. Only int64_t is supported.")
    elif isinstance(value, str) or is_base64(value):
        kind = "bytes_list"
    else:
        raise invalid(f"Feature: {name} has element with unexpected JSON type: {json_type(value)}")
    found = feature.WhichOneof("kind")
    if found not in (None, kind):
        raise invalid(f"Unexpected element type in feature: {name} expecting type: {_KINDS[found]}")
    getattr(feature, kind).value.append(bytes_of(value) if kind == "bytes_list" else value)
