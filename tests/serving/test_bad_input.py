"""The server answers every bad REST request with a proper error, and goes on serving."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import struct
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.options import Options
from tests.serving.conftest import MODEL, MOST_BYTES, OURS, PATIENCE, Client, fuzz, served_by

pytestmark = pytest.mark.slow

PREDICT = f"/v1/models/{MODEL}:predict"
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
    for serve in served_by(OURS):
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
            with contextlib.suppress(OSError):  # a busy machine may be too late already
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
        assert impatient.post(PREDICT, {"instances": [1.0]}).status == 200
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
