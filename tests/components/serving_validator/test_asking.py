"""Requests are small enough for any server, and go straight to the one on this machine."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from components.serving_validator import asking
from components.serving_validator.effort import Effort, Meter
from components.serving_validator.server_process import RunningServer

MIB = 2**20
ANSWER = {"probabilities": [0.25, 0.75], "label": "dog", "score": 0.75}


class _Asked(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Gives every image the same answer, and keeps how many each request had."""

    def __init__(self) -> None:
        self.by_grpc: list[int] = []
        self.by_rest: list[int] = []

    def Predict(  # noqa: N802, the name is TF Serving's
        self, request: predict_pb2.PredictRequest, context: Any
    ) -> predict_pb2.PredictResponse:
        (images,) = request.inputs.values()
        self.by_grpc.append(len(images.string_val))
        response = predict_pb2.PredictResponse()
        for name, value in ANSWER.items():
            column = [value] * len(images.string_val)
            response.outputs[name].CopyFrom(tf.make_tensor_proto(column))
        return response

    def post(self, address: str, body: Any) -> Any:
        self.by_rest.append(len(body["instances"]))
        return {"predictions": [ANSWER for _ in body["instances"]]}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> _Asked:
    found = _Asked()
    monkeypatch.setattr(asking, "post", found.post)
    return found


@pytest.fixture
def server(asked: _Asked) -> Iterator[RunningServer]:
    unlimited = [("grpc.max_receive_message_length", -1)]
    started = grpc.server(ThreadPoolExecutor(1), options=unlimited)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(asked, started)
    port = started.add_insecure_port("127.0.0.1:0")
    started.start()
    yield RunningServer("", f"127.0.0.1:{port}", process=None, log=Path(), meter=Meter(os.getpid()))
    started.stop(None)


@pytest.mark.parametrize(
    ("sizes", "cut"),
    [
        ([], []),
        ([1] * 17, [16, 1]),
        ([4 * MIB] * 3, [2, 1]),
        ([3 * MIB] * 4, [2, 2]),
        ([1, 9 * MIB, 1], [1, 1, 1]),
    ],
)
def test_values_are_cut_by_number_and_bytes(sizes: list[int], cut: list[int]) -> None:
    values = [bytes(size) for size in sizes]
    found = list(asking.batches(values))
    assert [len(batch) for batch in found] == cut
    assert [value for batch in found for value in batch] == values


def test_large_images_go_into_several_requests(asked: _Asked, server: RunningServer) -> None:
    images = [bytes(5 * MIB)] * 3
    answers = list(asking.answers(server, images, images))
    assert [given.way.split()[0] for given in answers] == ["REST", "gRPC"] * 2
    assert all(given.labels == ("dog",) * 3 for given in answers)
    assert asked.by_rest == asked.by_grpc == [1] * 6


def test_no_proxy_is_asked_for_the_server(
    asked: _Asked, server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("grpc_proxy", "https_proxy", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody is there
    for name in ("no_grpc_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    list(asking.answers(server, [b"image"], [b"example"]))
    assert asked.by_grpc == [1, 1]


class _Starved(Meter):
    """Says that the process waits for a processor all the time."""

    def read(self) -> Effort:
        seconds = 1000.0 * next(self._readings)
        return Effort(seconds, waited=seconds)

    _readings = itertools.count()


def test_time_without_a_processor_is_not_the_model_s(asked: _Asked, server: RunningServer) -> None:
    server.meter = _Starved(os.getpid())
    taken, own = asking.milliseconds(server, [b"a", b"b"], lambda times: False, 3)
    assert asked.by_rest == [1] * 6
    assert (taken > 0).all()
    assert (own == 0).all()


def test_times_that_will_do_are_not_measured_again(asked: _Asked, server: RunningServer) -> None:
    asking.milliseconds(server, [b"a", b"b"], lambda times: True, 3)
    assert asked.by_rest == [1] * 2
