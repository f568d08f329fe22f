"""The server answers every bad request with a proper error, and goes on serving."""

from __future__ import annotations

import base64
import json
import socket
import struct
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tensorflow_serving.apis import predict_pb2

from serving.options import Options
from tests.serving.conftest import MODEL, MOST_BYTES, OURS, PATIENCE, Client, _serve

pytestmark = pytest.mark.slow

PREDICT = f"/v1/models/{MODEL}:predict"
fuzz = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
_scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
_json = st.recursive(
    _scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["x", "b64", "text", "numbers"]), inner, max_size=3)
    ),
    max_leaves=12,
)
_documents = st.dictionaries(
    st.sampled_from(["instances", "inputs", "signature_name", "examples", "context"]),
    _json | st.sampled_from(["pair", "image", "classify", "regress"]),
    max_size=3,
)


def _assert_proper(status: int, body: bytes) -> None:
    """An answer is right, or blames the caller: it never reports a fault of the server."""
    assert status == 200 or 400 <= status < 500 or status == 501
    document = json.loads(body)
    if status != 200:
        assert list(document) == ["error"]
        assert "Traceback" not in document["error"]


@fuzz
@given(document=_documents, method=st.sampled_from(["predict", "classify", "regress"]))
def test_fuzzed_documents(alive: Client, document: Any, method: str) -> None:
    answer = alive.post(f"/v1/models/{MODEL}:{method}", document)
    _assert_proper(answer.status, answer.body)


@fuzz
@given(body=st.binary(max_size=300))
def test_fuzzed_bytes(alive: Client, body: bytes) -> None:
    answer = alive.post(PREDICT, body)
    _assert_proper(answer.status, answer.body)


@fuzz
@given(tensor=st.binary(max_size=60), name=st.sampled_from(["x", "y", ""]))
def test_fuzzed_protos(alive: Client, tensor: bytes, name: str) -> None:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = MODEL
    try:
        request.inputs[name].MergeFromString(tensor)
    except Exception:
        return  # the client's own library refuses these bytes
    try:
        alive.predictions.Predict(request, timeout=PATIENCE)
    except grpc.RpcError as error:
        assert error.code() in (
            grpc.StatusCode.INVALID_ARGUMENT,
            grpc.StatusCode.UNIMPLEMENTED,
        ), error.details()


@pytest.mark.parametrize(
    "body",
    [
        b'{"instances": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"instances": [' + b"9" * 10_000 + b"]}",
        b'{"instances": [1e999, -1e999, NaN]}',
        b'{"instances": ["\\ud800"], "signature_name": "image"}',
        b"\xff\xfe{\x00",
        b'{"instances": [1.0], "instances": [2.0]}',
    ],
)
def test_json_at_its_limits(alive: Client, body: bytes) -> None:
    answer = alive.post(PREDICT, body)
    _assert_proper(answer.status, answer.body)


def test_a_body_of_100_mb_is_refused(alive: Client) -> None:
    answer = alive.post(PREDICT, b" " * 100 * 2**20)
    assert answer.status == 413
    assert str(MOST_BYTES) in answer.json["error"]


def test_a_grpc_message_that_is_too_large_is_refused(alive: Client) -> None:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = MODEL
    request.inputs["x"].CopyFrom(tf.make_tensor_proto(b"x" * (MOST_BYTES + 1)))
    with pytest.raises(grpc.RpcError) as error:
        alive.predictions.Predict(request, timeout=PATIENCE)
    assert error.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_a_few_bytes_that_stand_for_a_huge_tensor_are_refused(alive: Client) -> None:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = MODEL
    tensor = request.inputs["x"]
    tensor.dtype = tf.float32.as_datatype_enum
    tensor.tensor_shape.dim.add(size=2**40)
    tensor.float_val.append(1.0)
    with pytest.raises(grpc.RpcError) as error:
        alive.predictions.Predict(request, timeout=PATIENCE)
    assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "too large" in error.value.details()


def _bomb(side: int) -> bytes:
    """Returns a PNG whose header promises side x side pixels, and which holds far fewer."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checked = kind + data
        return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(10 * 2**20), 9)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("content", [_bomb(60_000), b"", b"no image", b"\x89PNG\r\n\x1a\n"])
def test_an_image_that_is_none_or_a_bomb_is_refused(alive: Client, content: bytes) -> None:
    instances = [{"b64": base64.b64encode(content).decode()}]
    answer = alive.post(PREDICT, {"signature_name": "image", "instances": instances})
    assert answer.status == 400
    assert list(answer.json) == ["error"]


@pytest.mark.parametrize(
    "name",
    [
        "../../../../etc/passwd",
        "..%2f..%2f..%2fetc%2fpasswd",
        "%2e%2e/%2e%2e/etc/passwd",
        f"{MODEL}/../{MODEL}",
        "..\\..\\windows",
        "%00",
        f"{MODEL}%00.txt",
        "%ff%fe",
        "a" * 10_000,
        "",
        f"{MODEL}/versions/-1",
        f"{MODEL}/versions/99999999999999999999",
    ],
)
def test_path_tricks_find_no_model_and_no_file(alive: Client, name: str) -> None:
    for method, path in (("GET", f"/v1/models/{name}"), ("POST", f"/v1/models/{name}:predict")):
        answer = alive.request(method, path, b'{"instances": [1.0]}' if method == "POST" else None)
        assert 400 <= answer.status < 500
        assert b"root:" not in answer.body


def _connection(client: Client) -> socket.socket:
    return socket.create_connection(("127.0.0.1", client.server.port), timeout=PATIENCE)


@pytest.fixture(scope="module")
def impatient(config: Path) -> Iterator[Client]:
    """A server that gives up on a request after five seconds."""
    for serve in _serve(OURS):
        yield serve(Options(models_config=str(config), body_seconds=5.0))


@pytest.mark.parametrize(
    "start",
    [
        b"POST " + PREDICT.encode() + b" HTTP/1.1\r\nHost: x\r\n",  # headers that do not end
        b"POST " + PREDICT.encode() + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{",
        b"",
    ],
)
def test_slow_clients_are_cut_off_and_keep_nobody_waiting(impatient: Client, start: bytes) -> None:
    slow = [_connection(impatient) for _ in range(50)]
    try:
        for one in slow:
            one.sendall(start)
        assert impatient.post(PREDICT, {"instances": [1.0]}).status == 200
        for one in slow:
            end = time.monotonic() + PATIENCE
            # Sends a byte now and then, as long as the server takes it.
            while time.monotonic() < end:
                one.settimeout(0.2)
                try:
                    if not one.recv(4096):
                        break
                except TimeoutError:
                    try:
                        one.sendall(b"a" if start else b"G")
                    except OSError:
                        break
                except OSError:
                    break
            else:
                pytest.fail("a slow client was not cut off")
    finally:
        for one in slow:
            one.close()


def test_clients_that_go_away_in_the_middle_cost_nobody_else_an_answer(alive: Client) -> None:
    body = b'{"instances": [1.0]}'
    head = f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    for sent in (head[:20], head, head + body[:5], head + body):
        for _ in range(10):
            with _connection(alive) as one:
                one.sendall(sent)
                # The server sees a connection that is reset, not closed.
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    calls = [alive.predictions.Predict.future(_request(1.0), timeout=PATIENCE) for _ in range(40)]
    for call in calls[1:]:
        call.cancel()
    assert list(calls[0].result().outputs["y"].float_val) == [3.5]


def _request(x: float) -> predict_pb2.PredictRequest:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = MODEL
    request.inputs["x"].CopyFrom(tf.make_tensor_proto([x]))
    return request


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def _call(message: bytes) -> bytes:
    """Returns the bytes of an HTTP/2 connection with one call of Predict.

    The message is the call's body.
    """
    headers = {
        ":method": "POST",
        ":scheme": "http",
        ":path": "/tensorflow.serving.PredictionService/Predict",
        ":authority": "x",
        "te": "trailers",
        "content-type": "application/grpc",
    }
    block = b"".join(
        b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
        for name, value in headers.items()
    )
    return (
        _PREFACE
        + _frame(_SETTINGS, 0, 0, b"")
        + _frame(_HEADERS, _END_HEADERS, 1, block)
        + _frame(_DATA, _END_STREAM, 1, message)
    )


def _data(port: int, message: bytes) -> bytes:
    """Makes a call and returns the data that the server sends until it ends the call."""
    found = b""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as one,
        one.makefile("rb") as frames,
    ):
        one.sendall(_call(message))
        while header := frames.read(9):
            kind, flags = header[3], header[4]
            payload = frames.read(int.from_bytes(header[:3], "big"))
            found += payload if kind == _DATA else b""
            ended = kind in (_DATA, _HEADERS) and flags & _END_STREAM
            if ended or kind in (_RESET, _GO_AWAY):
                break
    return found


_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RESET, _SETTINGS, _GO_AWAY = 0, 1, 3, 4, 7
_END_STREAM, _END_HEADERS = 1, 4
_WHOLE = _request(1.0).SerializeToString()


@pytest.mark.parametrize(
    "message",
    [
        b"",  # not even the five bytes that tell the length
        b"\0\0",
        struct.pack(">BI", 0, len(_WHOLE)) + _WHOLE[:-5],  # shorter than it says
        struct.pack(">BI", 0, len(_WHOLE) - 5) + _WHOLE[:-5],  # a proto that is cut off
        struct.pack(">BI", 0, 2**32 - 1) + _WHOLE,
    ],
    ids=["nothing", "no-length", "too-short", "proto-cut-off", "endless"],
)
def test_a_truncated_grpc_message_is_an_error_of_its_own_call(
    alive: Client, message: bytes
) -> None:
    port = alive.server.grpc_port
    assert MODEL.encode() in _data(port, struct.pack(">BI", 0, len(_WHOLE)) + _WHOLE)
    assert _data(port, message) == b""


@pytest.mark.parametrize(
    "sent",
    [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00" + b"\x00\x01",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 64,
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x00" * 500,
    ],
)
def test_truncated_and_wrong_grpc_frames(alive: Client, sent: bytes) -> None:
    for _ in range(5):
        with socket.create_connection(
            ("127.0.0.1", alive.server.grpc_port), timeout=PATIENCE
        ) as one:
            one.sendall(sent)
    response = alive.predictions.Predict(_request(1.0), timeout=PATIENCE)
    assert list(response.outputs["y"].float_val) == [3.5]
