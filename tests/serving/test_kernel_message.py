"""A client reads why an image is refused, and nothing of the graph's nodes."""

from __future__ import annotations

import base64
import re

import grpc
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2

from serving import kernel_message
from tests.serving.conftest import MODEL, PATIENCE, Client

UNKNOWN = "Unknown image file format. One of JPEG, PNG, GIF, BMP required."


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        (f"{UNKNOWN}\n\t [[{{{{node map/while/DecodeImage}}}}]]", UNKNOWN),
        (f"{{{{function_node f}}}} {{{{node a/b}}}} {UNKNOWN} [Op:DecodeImage]", UNKNOWN),
        (
            f"2 root error(s) found.\n  (0) INVALID_ARGUMENT: {UNKNOWN}\n\t [[{{{{node a}}}}]]\n"
            "\t [[b/_7]]\n  (1) INVALID_ARGUMENT: the same\n0 successful operations.",
            UNKNOWN,
        ),
        (
            "assertion failed: [too many pixels; allowed: 5]\n\t [[{{node a}}]]",
            "too many pixels; allowed: 5",
        ),
        ("[[{{node a}}]]", "[[{{node a}}]]"),
    ],
)
def test_the_sentence_stands_alone(message: str, sentence: str) -> None:
    assert kernel_message.sentence(message) == sentence


def test_rest_and_grpc_say_why_an_image_is_refused(ours: Client) -> None:
    body = {
        "signature_name": "image",
        "instances": [{"b64": base64.b64encode(b"no image").decode()}],
    }
    answer = ours.post(f"/v1/models/{MODEL}:predict", body)
    assert answer.status == 400
    # TensorFlow 2.21 names more formats.
    told = answer.json["error"]
    assert re.fullmatch(r"Unknown image file format\. One of [\w, ]+ required\.", told)
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = MODEL, "image"
    request.inputs["image_bytes"].CopyFrom(tf.make_tensor_proto([b"no image"]))
    with pytest.raises(grpc.RpcError) as refused:
        ours.predictions.Predict(request, timeout=PATIENCE)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.value.details() == told
