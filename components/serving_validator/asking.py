"""Sends real images to a server by REST and gRPC, to all serving signatures of the model."""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from components.serving_validator.checks import Answers, Floats
from components.serving_validator.effort import Effort, Meter
from components.serving_validator.failures import ModelError, failure
from components.serving_validator.server_process import (
    MODEL,
    REQUEST_SECONDS,
    RunningServer,
    post,
)
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
        ModelError: an answer is an error of the model's making, or lacks outputs.
        OutageError: no answer comes, or an error of the machine's making.
    """
    # A proxy would look for the server on its own machine.
    options = [("grpc.enable_http_proxy", 0), ("grpc.max_receive_message_length", -1)]
    with grpc.insecure_channel(server.grpc, options=options) as channel:
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


def milliseconds(
    server: RunningServer, images: Sequence[bytes], kept: Callable[[Floats], bool], rounds: int
) -> tuple[Floats, Floats]:
    """Measures one REST request for each image, one after the other, until the times are `kept`.

    Args:
        server: a server whose `wait` has returned.
        images: encoded images.
        kept: whether times in ms, [images], will do; if not, all images are sent once more.
        rounds: how often they are sent at most.

    Returns:
        Each image's best time in ms, and its best time less the time for which the server or this
        process was ready but had no processor.
    """
    best = np.full((2, len(images)), np.inf)
    ours = Meter(os.getpid())
    for _ in range(rounds):
        for place, image in enumerate(images):
            before = server.meter.read(), ours.read()
            start = time.perf_counter()
            _by_rest(server, SERVING_DEFAULT, [image])
            taken = time.perf_counter() - start
            one, other = (
                meter.read() - earlier
                for meter, earlier in zip((server.meter, ours), before, strict=True)
            )
            # While one of the two works, the other waits for it.
            own = Effort(taken, one.ran + other.ran, one.waited + other.waited).own
            best[:, place] = np.minimum(best[:, place], [taken * 1000, own * 1000])
        if kept(best[0]):
            break
    return best[0], best[1]


def classes(server: RunningServer, example: bytes) -> list[str]:
    """Returns the class names in the order of the classify signature's answer to an example."""
    features = tf.train.Example.FromString(example).features.feature
    (image,) = features[IMAGE].bytes_list.value
    body = {
        "signature_name": CLASSIFY,
        "examples": [{IMAGE: {"b64": base64.b64encode(image).decode()}}],
    }
    answer = post(f"{server.rest}:classify", body)
    try:
        # TF Serving's documentation says `result`, its code `results`.
        (pairs,) = answer.get("results", answer.get("result"))
        return [label for label, _ in pairs]
    except (AttributeError, TypeError, ValueError):
        raise ModelError(f"the answer to classify has another form: {answer!r:.200}") from None


def _by_rest(server: RunningServer, signature: str, batch: list[bytes]) -> Rows:
    body = {
        "signature_name": signature,
        "instances": [{"b64": base64.b64encode(one).decode()} for one in batch],
    }
    answer = post(f"{server.rest}:predict", body)
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
        outputs = stub.Predict(request, timeout=REQUEST_SECONDS).outputs
    except grpc.RpcError as error:
        code = error.code().name
        raise failure(
            code, f"gRPC {signature}: the server answered {code}: {error.details()}"
        ) from error
    if not set(_OUTPUTS) <= set(outputs):
        raise _other_form(f"gRPC {signature}")
    probabilities, labels, scores = (tf.make_ndarray(outputs[name]) for name in _OUTPUTS)
    named = [label.decode("utf-8", "replace") for label in labels]
    return _checked(list(zip(probabilities, named, scores, strict=True)), batch)


def _checked(rows: Any, batch: list[bytes]) -> Rows:
    if len(rows) != len(batch):
        raise ModelError(f"{len(batch)} images were sent, {len(rows)} answers came")
    checked: Rows = rows
    return checked


def _other_form(way: str) -> ModelError:
    return ModelError(f"{way}: the answer lacks one of the outputs {', '.join(_OUTPUTS)}")
