"""Sends real images to a server by REST and gRPC, to all serving signatures of the model."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from components.serving_validator.checks import Answers
from components.serving_validator.server_process import MODEL, RunningServer, ServerError, post
from trainer.features import (
    CLASSIFY,
    EXAMPLES,
    IMAGE,
    IMAGE_BYTES,
    PREDICTED_LABEL,
    PROBABILITIES,
    SCORE,
    SERVING_DEFAULT,
    SERVING_EXAMPLES,
)

_SECONDS = 60.0
_BATCH_IMAGES = 16
_BATCH_BYTES = 8 * 2**20
_OUTPUTS = (PROBABILITIES, PREDICTED_LABEL, SCORE)
SIGNATURES = {SERVING_DEFAULT: IMAGE_BYTES, SERVING_EXAMPLES: EXAMPLES}

Rows = list[tuple[Any, str, float]]


def answers(
    server: RunningServer, images: Sequence[bytes], examples: Sequence[bytes]
) -> Iterator[Answers]:
    """Yields the answers to all images for each pair of protocol (REST, gRPC) and signature.

    Args:
        server: a server whose `wait` has returned.
        images: encoded images.
        examples: the same images as serialized tf.Examples.

    Raises:
        ServerError: a request gets no answer, or an answer that lacks outputs.
    """
    # A proxy would look for the server on its own machine.
    direct = [("grpc.enable_http_proxy", 0)]
    with grpc.insecure_channel(server.grpc, options=direct) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        ways: dict[str, Callable[[str, list[bytes]], Rows]] = {
            "REST": lambda signature, batch: _by_rest(server, signature, batch),
            "gRPC": lambda signature, batch: _by_grpc(stub, signature, batch),
        }
        for signature, values in zip(SIGNATURES, (images, examples), strict=True):
            for way, ask in ways.items():
                rows = [row for batch in batches(values) for row in ask(signature, batch)]
                probabilities, labels, scores = zip(*rows, strict=True)
                yield Answers(
                    f"{way} {signature}",
                    np.array(probabilities, np.float64),
                    labels,
                    np.array(scores, np.float64),
                )


def batches(values: Sequence[bytes]) -> Iterator[list[bytes]]:
    """Yields batches of at most 16 values and 8 MiB; a value above 8 MiB is a batch alone."""
    batch: list[bytes] = []
    size = 0
    for value in values:
        if batch and (len(batch) == _BATCH_IMAGES or size + len(value) > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(value)
        size += len(value)
    if batch:
        yield batch


def milliseconds(server: RunningServer, images: Sequence[bytes]) -> tuple[float, ...]:
    """Returns the time of one REST request for each image, in ms; requests are sequential."""
    times = []
    for image in images:
        start = time.perf_counter()
        _by_rest(server, SERVING_DEFAULT, [image])
        times.append((time.perf_counter() - start) * 1000)
    return tuple(times)


def classes(server: RunningServer, example: bytes) -> list[str]:
    """Returns the class names in the order of the classify signature's answer to an example."""
    features = tf.train.Example.FromString(example).features.feature
    (image,) = features[IMAGE].bytes_list.value
    body = {
        "signature_name": CLASSIFY,
        "examples": [{IMAGE: {"b64": base64.b64encode(image).decode()}}],
    }
    answer = post(f"{server.rest}:classify", body, _SECONDS)
    try:
        # TF Serving's documentation says `result`, its code `results`.
        (pairs,) = answer.get("results", answer.get("result"))
        return [label for label, _ in pairs]
    except (AttributeError, TypeError, ValueError):
        raise ServerError(f"the answer to classify has another form: {answer!r:.200}") from None


def _by_rest(server: RunningServer, signature: str, batch: list[bytes]) -> Rows:
    body = {
        "signature_name": signature,
        "instances": [{"b64": base64.b64encode(one).decode()} for one in batch],
    }
    answer = post(f"{server.rest}:predict", body, _SECONDS)
    try:
        return _checked(
            [tuple(row[name] for name in _OUTPUTS) for row in answer["predictions"]], batch
        )
    except (KeyError, TypeError):
        raise _other_form(f"REST {signature}") from None


def _by_grpc(stub: Any, signature: str, batch: list[bytes]) -> Rows:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = MODEL
    request.model_spec.signature_name = signature
    request.inputs[SIGNATURES[signature]].CopyFrom(tf.make_tensor_proto(batch, tf.string))
    try:
        outputs = stub.Predict(request, timeout=_SECONDS).outputs
    except grpc.RpcError as error:
        raise ServerError(
            f"gRPC {signature}: the server answered {error.code().name}: {error.details()}"
        ) from error
    if not set(_OUTPUTS) <= set(outputs):
        raise _other_form(f"gRPC {signature}")
    probabilities, labels, scores = (tf.make_ndarray(outputs[name]) for name in _OUTPUTS)
    named = [label.decode("utf-8", "replace") for label in labels]
    return _checked(list(zip(probabilities, named, scores, strict=True)), batch)


def _checked(rows: Any, batch: list[bytes]) -> Rows:
    if len(rows) != len(batch):
        raise ServerError(f"{len(batch)} images were sent, {len(rows)} answers came")
    checked: Rows = rows
    return checked


def _other_form(way: str) -> ServerError:
    return ServerError(f"{way}: the answer lacks one of the outputs {', '.join(_OUTPUTS)}")
