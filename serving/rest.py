"""The REST side: paths and bodies of TF Serving's HTTP API, as an ASGI application.

Source: tensorflow/serving, model_servers/http_rest_api_handler.cc, http_rest_api_util.cc and
http_server.cc.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

from google.protobuf import json_format
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_status_pb2,
    model_pb2,
    regression_pb2,
)

from serving import json_examples, json_tensors, metrics
from serving.errors import Code, RefusedError, http_status, invalid, refused
from serving.inference import Inference, Pending

_NAME = r"/v1/models/([^/:]+)"
_VERSION = r"(?:/versions/(\d+)|/labels/([^/:]+))?"
_POST = re.compile(_NAME + _VERSION + r":(classify|regress|predict)", re.IGNORECASE | re.ASCII)
_GET = re.compile(
    r"/v1/models(?:/([^/:]+))?" + _VERSION + r"(?:/(metadata))?", re.IGNORECASE | re.ASCII
)
_JSON, _TEXT = "application/json", "text/plain"
_AT_ONCE_BYTES = 64 * 1024
_TOO_LARGE, _TOO_SLOW, _CLIENT_GONE = 413, 408, 499


@dataclass(frozen=True)
class Target:
    """What a path means: a model, and predict, classify, regress, metadata or status."""

    spec: model_pb2.ModelSpec
    method: str


class _BodyError(Exception):
    """A body that is not taken: an HTTP status and a message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def target(method: str, path: str) -> Target:
    """Reads a path.

    Args:
        method: the HTTP method.
        path: as it was sent, with its percent signs and without its query.

    Raises:
        RefusedError: it is none of TF Serving's paths, or its version is not an int64.
    """
    pattern = {"POST": _POST, "GET": _GET}.get(method)
    match = pattern.fullmatch(path) if pattern else None
    if match is None:
        raise invalid(f"Malformed request: {method} {path}")
    name, version, label, last = match.groups()
    if name is None:
        raise invalid("Missing model name in request.")
    spec = model_pb2.ModelSpec()
    try:
        spec.name = unquote_to_bytes(name).decode()
        if label is not None:
            spec.version_label = unquote_to_bytes(label).decode()
    except UnicodeDecodeError:
        raise invalid(f"Failed to decode model name:{name}") from None
    if version is not None:
        if int(version[:20]) >= 2**63:
            raise invalid(f"Failed to convert version: {version[:40]} to numeric.")
        spec.version.value = int(version)
    return Target(spec, (last or "status").lower())


def application(inference: Inference, *, max_bytes: int, body_seconds: float) -> Starlette:
    """Makes the application.

    Args:
        inference: answers.
        max_bytes: a larger body is refused with 413.
        body_seconds: a body that takes longer to come is refused with 408.
    """

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        response = await _answer(Request(scope, receive), inference, max_bytes, body_seconds)
        await response(scope, receive, send)

    # TF Serving reads the path before its percent signs are decoded, so no router may.
    return Starlette(routes=[Mount("/", app=answer)])


async def _answer(
    request: Request, inference: Inference, max_bytes: int, body_seconds: float
) -> Response:
    path = request.scope["raw_path"].decode("ascii", "replace")
    if path == metrics.PATH:
        return Response(inference.metrics.page(), media_type=_TEXT)
    if not path.lower().startswith("/v1/"):
        return _error(404, "Not Found")
    if request.method == "OPTIONS":
        return _preflight(request)
    start = time.perf_counter()
    try:
        body = await _body(request, max_bytes, body_seconds)
    except _BodyError as error:
        return _error(error.status, str(error), close=True)
    found: Target | None = None
    failure: RefusedError | None = None
    content = b""
    try:
        found = target(request.method, path)
        content = await _content(found, body, inference)
    except Exception as error:
        failure = refused(error)
    if found is not None and request.method == "POST":
        inference.finished(found.spec.name, failure, found.method, "REST", start)
    if failure is not None:
        return _error(http_status(failure.code), failure.message)
    return Response(content, media_type=_JSON)


def _preflight(request: Request) -> Response:
    if re.match(r"https?://", request.headers.get("origin", "")):
        return Response(b"", media_type=_JSON)
    return _error(400, "Origin header is missing in CORS preflight")


async def _body(request: Request, max_bytes: int, seconds: float) -> bytes:
    """Reads a body.

    What is too large is read to its end and thrown away, as many clients do not look for an answer
    before they have sent all; the time limit bounds that too.
    """
    length = request.headers.get("content-length", "")
    announced = length.isdecimal() and int(length[:20]) > max_bytes
    try:
        # Who sends Expect waits for leave to send the body, so nothing of it is on its way.
        if announced and "expect" in request.headers:
            body = None
        else:
            body = await asyncio.wait_for(_read(request, 0 if announced else max_bytes), seconds)
    except asyncio.TimeoutError:
        raise _BodyError(_TOO_SLOW, "The request took too long to come in") from None
    except ClientDisconnect:
        raise _BodyError(_CLIENT_GONE, "The client went away") from None
    if body is None:
        raise _BodyError(_TOO_LARGE, f"The request is larger than {max_bytes} bytes")
    return body


async def _read(request: Request, max_bytes: int) -> bytes | None:
    """Reads a body to its end; returns None where it is too large."""
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size <= max_bytes:
            parts.append(part)
        else:
            parts.clear()
    return b"".join(parts) if size <= max_bytes else None


async def _content(found: Target, body: bytes, inference: Inference) -> bytes:
    if found.method == "status":
        return await run_in_threadpool(_status, inference, found.spec)
    if found.method == "metadata":
        return await run_in_threadpool(_metadata, inference, found.spec)
    pending = await _aside(len(body), _begin, found, body, inference)
    try:
        outputs = await asyncio.wait_for(
            asyncio.wrap_future(pending.future), inference.request_seconds
        )
    except asyncio.TimeoutError:
        raise RefusedError(Code.DEADLINE_EXCEEDED, "Timed out waiting for notification") from None
    answered: bytes = await _aside(
        sum(array.nbytes for array in outputs.values()), pending.finish, outputs
    )
    return answered


async def _aside(size: int, function: Callable[..., Any], *arguments: Any) -> Any:
    """Calls a function, in a thread where so many bytes would stop the loop for everyone else.

    A thread for every small request would be two more waits for a core that may be busy.
    """
    if size <= _AT_ONCE_BYTES:
        return function(*arguments)
    return await run_in_threadpool(function, *arguments)


def _begin(found: Target, body: bytes, inference: Inference) -> Pending:
    document = json_tensors.parse(body)
    if found.method == "predict":
        return inference.predict_json(found.spec, document)
    spec = model_pb2.ModelSpec()
    spec.CopyFrom(found.spec)
    spec.signature_name = json_tensors.signature_name(document)
    examples = json_examples.examples(document)
    if found.method == "classify":
        pending = inference.classify(
            classification_pb2.ClassificationRequest(model_spec=spec, input=examples)
        )
        write: Any = json_examples.classifications
    else:
        pending = inference.regress(
            regression_pb2.RegressionRequest(model_spec=spec, input=examples)
        )
        write = json_examples.regressions
    return Pending(pending.future, lambda outputs: write(pending.finish(outputs).result))


def _status(inference: Inference, spec: model_pb2.ModelSpec) -> bytes:
    request = get_model_status_pb2.GetModelStatusRequest(model_spec=spec)
    return _proto_json(inference.status(request)).encode()


def _metadata(inference: Inference, spec: model_pb2.ModelSpec) -> bytes:
    answered = model_pb2.ModelSpec()
    known = inference.signature_map(spec, answered)
    document = {
        "model_spec": json.loads(_proto_json(answered)),
        "metadata": {"signature_def": json.loads(_proto_json(known))},
    }
    return json_tensors.written(document)


def _proto_json(message: Any) -> str:
    return str(
        json_format.MessageToJson(
            message, including_default_value_fields=True, preserving_proto_field_name=True
        )
    )


def _error(status: int, message: str, *, close: bool = False) -> Response:
    headers = {"connection": "close"} if close else None
    content = json_tensors.written({"error": message})
    return Response(content, status, headers, media_type=_JSON)
