"""Small models in the manner of TF Serving's half_plus_two, and servers that serve them."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, settings
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

from serving.options import Options
from serving.server import Server
from tests.serving.tensorflow_model_server import BINARY, TensorFlowModelServer

OURS, REAL = "ours", "tensorflow_model_server"
SERVERS = [OURS, *([REAL] if BINARY else [])]
MODEL = "half_plus"
MOST_BYTES = 4 * 2**20
PATIENCE = 300.0  # seconds; only a server that hangs takes so long, however busy the machine

fuzz = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


class HalfPlus(tf.Module):
    """Answers x / 2 + a constant, over several signatures."""

    def __init__(self, constant: float) -> None:
        """Takes the constant, which is also the version in these tests."""
        super().__init__()
        self._constant = tf.Variable(float(constant))

    def _answer(self, x: tf.Tensor) -> tf.Tensor:
        return x * 0.5 + self._constant

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def predict(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": self._answer(x)}

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.string, name="text"),
            tf.TensorSpec([None, 2], tf.int32, name="numbers"),
        ]
    )
    def pair(self, text: tf.Tensor, numbers: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"text_bytes": text, "total": tf.reduce_sum(numbers, axis=1)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="inputs")])
    def classify(self, inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        y = self._answer(_x(inputs))
        classes = tf.tile(tf.constant([["half", "plus"]]), [tf.shape(y)[0], 1])
        return {"classes": classes, "scores": tf.stack([y, -y], axis=1)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="inputs")])
    def regress(self, inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"outputs": self._answer(_x(inputs))}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="image_bytes")])
    def image(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        sides = tf.map_fn(
            lambda one: tf.shape(tf.io.decode_image(one, 3, expand_animations=False))[:2],
            image_bytes,
            fn_output_signature=tf.TensorSpec([2], tf.int32),
        )
        return {"sides": sides}


def _x(examples: tf.Tensor) -> tf.Tensor:
    return tf.io.parse_example(examples, {"x": tf.io.FixedLenFeature([], tf.float32)})["x"]


def write_model(folder: Path, constant: float) -> Path:
    """Saves a version under another name first, so that it appears whole."""
    model = HalfPlus(constant)
    partial = folder.parent / f".{folder.name}"
    tf.saved_model.save(
        model,
        str(partial),
        signatures={
            "serving_default": model.predict,
            "pair": model.pair,
            "classify": model.classify,
            "regress": model.regress,
            "image": model.image,
        },
    )
    partial.rename(folder)
    return folder


@dataclass(frozen=True)
class Answer:
    """A REST answer: status, body, and the body as JSON."""

    status: int
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Client:
    """Both sides of one server."""

    server: Server | TensorFlowModelServer
    channel: grpc.Channel

    @property
    def predictions(self) -> Any:
        return prediction_service_pb2_grpc.PredictionServiceStub(self.channel)

    @property
    def models(self) -> Any:
        return model_service_pb2_grpc.ModelServiceStub(self.channel)

    def get(self, path: str) -> Answer:
        return self.request("GET", path)

    def post(self, path: str, body: Any) -> Answer:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.request("POST", path, content)

    def request(self, method: str, path: str, body: bytes | None = None) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=PATIENCE)
        try:
            connection.request(method, path, body)
            response = connection.getresponse()
            return Answer(response.status, response.read())
        finally:
            connection.close()


Serve = Callable[[Options], Client]


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with half_plus_two as version 2 and half_plus_three as version 3."""
    folder = tmp_path_factory.mktemp("models")
    for version in (2, 3):
        write_model(folder / str(version), version)
    return folder


@pytest.fixture(scope="session")
def config(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model config file that serves both versions and labels them."""
    file = tmp_path_factory.mktemp("config") / "models.config"
    file.write_text(model_config(models, {"stable": 2, "canary": 3}))
    return file


def model_config(models: Path, labels: dict[str, int]) -> str:
    named = "".join(
        f'    version_labels {{ key: "{label}" value: {version} }}\n'
        for label, version in labels.items()
    )
    return (
        "model_config_list {\n  config {\n"
        f'    name: "{MODEL}"\n    base_path: "{models}"\n    model_platform: "tensorflow"\n'
        f"    model_version_policy {{ all {{}} }}\n{named}  }}\n}}\n"
    )


@pytest.fixture(params=SERVERS)
def serve(request: pytest.FixtureRequest) -> Iterator[Serve]:
    """Starts servers that are stopped after the test."""
    yield from served_by(request.param)


def served_by(kind: str) -> Iterator[Serve]:
    """Yields what starts servers of a kind, which are stopped after it."""
    started: list[Client] = []

    def start(options: Options) -> Client:
        server = (
            TensorFlowModelServer(options)
            if kind == REAL
            else Server(replace(options, port=0, grpc_port=0))
        )
        client = Client(server, grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}"))
        started.append(client)
        return client

    yield start
    for client in started:
        client.channel.close()
        client.server.stop()


@pytest.fixture(scope="session")
def ours(config: Path) -> Iterator[Client]:
    """The server that most tests share; it must answer after each of them."""
    for serve in served_by(OURS):
        yield serve(
            Options(
                models_config=str(config),
                max_request_bytes=MOST_BYTES,
                request_seconds=PATIENCE,
                body_seconds=PATIENCE,
            )
        )


@pytest.fixture(scope="session")
def real(config: Path) -> Iterator[Client]:
    """TF Serving's own, on the same models."""
    for serve in served_by(REAL):
        yield serve(Options(models_config=str(config)))


@pytest.fixture(params=SERVERS)
def client(request: pytest.FixtureRequest) -> Client:
    """Our server and, where there is one, TF Serving's."""
    found: Client = request.getfixturevalue("real" if request.param == REAL else "ours")
    return found


@pytest.fixture
def alive(ours: Client) -> Iterator[Client]:
    """Our server, which must still give a right answer when the test is over."""
    yield ours
    answer = ours.post(f"/v1/models/{MODEL}/versions/2:predict", {"instances": [1.0, 2.0, 5.0]})
    assert answer.json == {"predictions": [2.5, 3.0, 4.5]}


def half_plus(x: float, version: int) -> float:
    return float(np.float32(x) / 2 + version)


def in_threads(number: int, job: Callable[[int], None]) -> list[threading.Thread]:
    threads = [threading.Thread(target=job, args=(each,), daemon=True) for each in range(number)]
    for thread in threads:
        thread.start()
    return threads
