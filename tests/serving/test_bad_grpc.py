"""The server answers every bad gRPC request with a proper error, and goes on serving."""

from __future__ import annotations

import socket
import struct

import grpc
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from tensorflow_serving.apis import predict_pb2

from tests.serving.conftest import MODEL, MOST_BYTES, PATIENCE, Client, fuzz

pytestmark = pytest.mark.slow


def _request(x: float) -> predict_pb2.PredictRequest:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = MODEL
    request.inputs["x"].CopyFrom(tf.make_tensor_proto([x]))
    return request


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


def test_callers_that_cancel_cost_nobody_else_an_answer(alive: Client) -> None:
    calls = [alive.predictions.Predict.future(_request(1.0), timeout=PATIENCE) for _ in range(40)]
    for call in calls[1:]:
        call.cancel()
    assert list(calls[0].result().outputs["y"].float_val) == [3.5]


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
