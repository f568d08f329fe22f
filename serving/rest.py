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
from grpc import StatusCode
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from tensorflow_serving.apis import classification_pb2, get_model_status_pb2, model_pb2

from serving import json_examples, json_text, metrics
from serving.errors import NO_REGRESSION, ServingError, invalid, serving_error
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
    """The meaning of a path: a model, and predict, classify, regress, metadata or status."""

    spec: model_pb2.ModelSpec
    method: str


class _BodyError(Exception):
    """The server does not take a body, and answers with an HTTP status and a message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def target(method: str, path: str) -> Target:
    """Reads a path.

    Args:
        method: the HTTP method.
        path: the path as it was sent, with its percent signs and without its query.

    Raises:
        ServingError: the path is none of TF Serving's, or its version is not an int64.
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


def application(inference: Inference, *, max_bytes: int, body_seconds: float) -> ASGIApp:
    """Makes the application.

    It reads the path itself, as TF Serving does before it decodes percent signs.

    Args:
        inference: makes the answers.
        max_bytes: a larger body is refused with 413.
        body_seconds: a body that takes longer to come is refused with 408.
    """

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        response = await _answer(Request(scope, receive), inference, max_bytes, body_seconds)
        await response(scope, receive, send)

    return answer


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
    failure: ServingError | None = None
    content = b""
    try:
        found = target(request.method, path)
        content = await _content(found, body, inference)
    except Exception as error:
        failure = serving_error(error)
    if found is not None and request.method == "POST":
        inference.finished(found.spec.name, failure, found.method, "REST", start)
    if failure is not None:
        return _error(failure.http_status, failure.message)
    return Response(content, media_type=_JSON)


def _preflight(request: Request) -> Response:
    if re.match(r"https?://", request.headers.get("origin", "")):
        return Response(b"", media_type=_JSON)
    return _error(400, "Origin header is missing in CORS preflight")


async def _body(request: Request, max_bytes: int, seconds: float) -> bytes:
    """Reads a body.

    It reads a body that is too large to its end and drops it, because many clients read no answer
    before they have sent everything. The time limit bounds that too.
    """
    length = request.headers.get("content-length", "")
    announced = length.isdecimal() and int(length[:20]) > max_bytes
    try:
        # A client that sends Expect holds the body back until the server asks for it.
        if announced and "expect" in request.headers:
            body = None
        else:
            body = await asyncio.wait_for(_read(request, 0 if announced else max_bytes), seconds)
    except asyncio.TimeoutError:
        raise _BodyError(_TOO_SLOW, "The request took too long to arrive") from None
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
        raise ServingError(
            StatusCode.DEADLINE_EXCEEDED, "Timed out waiting for notification"
        ) from None
    answered: bytes = await _aside(
        sum(array.nbytes for array in outputs.values()), pending.finish, outputs
    )
    return answered


async def _aside(size: int, function: Callable[..., Any], *arguments: Any) -> Any:
    """Calls a function, in a thread where so many bytes would block the loop for all clients.

    Small requests need no thread, which would wait twice more for a core.
    """
    if size <= _AT_ONCE_BYTES:
        return function(*arguments)
    return await run_in_threadpool(function, *arguments)


def _begin(found: Target, body: bytes, inference: Inference) -> Pending:
    if found.method == "regress":
        raise ServingError(StatusCode.UNIMPLEMENTED, NO_REGRESSION)
    document = json_text.parse(body)
    if found.method == "predict":
        return inference.predict_json(found.spec, document)
    request = classification_pb2.ClassificationRequest(model_spec=found.spec)
    request.model_spec.signature_name = json_text.signature_name(document)
    request.input.CopyFrom(json_examples.examples(document))
    pending = inference.classify(request, None)
    return Pending(
        pending.future,
        lambda outputs: json_examples.classifications(pending.finish(outputs).result),
    )


def _status(inference: Inference, spec: model_pb2.ModelSpec) -> bytes:
    request = get_model_status_pb2.GetModelStatusRequest(model_spec=spec)
    return _proto_json(inference.status(request)).encode()


def _metadata(inference: Inference, spec: model_pb2.ModelSpec) -> bytes:
    answered, known = inference.signature_map(spec)
    document = {
        "model_spec": json.loads(_proto_json(answered)),
        "metadata": {"signature_def": json.loads(_proto_json(known))},
    }
    return json_text.written(document)


def _proto_json(message: Any) -> str:
    return str(
        json_format.MessageToJson(
            message, including_default_value_fields=True, preserving_proto_field_name=True
        )
    )


def _error(status: int, message: str, *, close: bool = False) -> Response:
    headers = {"connection": "close"} if close else None
    content = json_text.written({"error": message})
    return Response(content, status, headers, media_type=_JSON)
