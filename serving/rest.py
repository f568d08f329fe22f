"""The REST API: paths and bodies of TF Serving's HTTP API, as an ASGI application.

Source: tensorflow/serving, model_servers/http_rest_api_handler.cc, http_rest_api_util.cc and
http_server.cc.
"""

from __future__ import annotations

import asyncio
import inspect
import re
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any
from urllib.parse import unquote_to_bytes

from google.protobuf import json_format
from grpc import StatusCode
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from tensorflow_serving.apis import classification_pb2, get_model_status_pb2, model_pb2

from serving import json_examples, json_text, metrics
from serving.errors import NO_REGRESSION, TIMED_OUT, ServingError, invalid, serving_error
from serving.inference import Inference, Pending

_VERSION = r"(?:/versions/(\d+)|/labels/([^/:]+))?"
_POST = re.compile(
    rf"/v1/models/([^/:]+){_VERSION}:(classify|regress|predict)", re.IGNORECASE | re.ASCII
)
_GET = re.compile(rf"/v1/models(?:/([^/:]+))?{_VERSION}(?:/(metadata))?", re.IGNORECASE | re.ASCII)
_JSON, _TEXT = "application/json", "text/plain"
_AT_ONCE_BYTES = 64 * 1024
# Protobuf renamed the option in release 26 and dropped the old name in release 5.
_DEFAULTS = {"including_default_value_fields", "always_print_fields_with_no_presence"}
_PROTO_JSON = dict.fromkeys(
    {"preserving_proto_field_name"}
    | _DEFAULTS & inspect.signature(json_format.MessageToJson).parameters.keys(),
    True,
)
_TOO_LARGE, _TOO_SLOW, _CLIENT_GONE = 413, 408, 499


def application(inference: Inference, *, max_bytes: int, body_seconds: float) -> ASGIApp:
    """Returns the ASGI application; a body over a limit is refused with 413 (size) or 408 (time).

    Like TF Serving, it splits the raw path before it decodes percent signs.
    """

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        response = await _answer(Request(scope, receive), inference, max_bytes, body_seconds)
        await response(scope, receive, send)

    return answer


def _target(method: str, path: str) -> tuple[model_pb2.ModelSpec, str]:
    """Returns a path's model, and its method: predict, classify, regress, metadata or status."""
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
    return spec, (last or "status").lower()


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
        spec, method = _target(request.method, path)
        counted = inference.counted(spec.name, method, "REST", start)
        with counted if request.method == "POST" else nullcontext():
            content = await _content(spec, method, body, inference)
    except HTTPException as error:
        return _error(error.status_code, error.detail, close=True)
    except Exception as error:
        failure = serving_error(error)
        return _error(failure.http_status, failure.message)
    return Response(content, media_type=_JSON)


def _preflight(request: Request) -> Response:
    if re.match(r"https?://", request.headers.get("origin", "")):
        return Response(b"", media_type=_JSON)
    return _error(400, "Origin header is missing in CORS preflight")


async def _body(request: Request, max_bytes: int, seconds: float) -> bytes:
    """Returns a request's body.

    A body that is too large is read to its end and dropped, because many clients read no answer
    before they have sent everything. `seconds` limits this reading too.
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
        raise HTTPException(_TOO_SLOW, "The request took too long to arrive") from None
    except ClientDisconnect:
        raise HTTPException(_CLIENT_GONE, "The client went away") from None
    if body is None:
        raise HTTPException(_TOO_LARGE, f"The request is larger than {max_bytes} bytes")
    return body


async def _read(request: Request, max_bytes: int) -> bytes | None:
    """Reads a body to its end and returns it; None if it is larger than `max_bytes`."""
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size <= max_bytes:
            parts.append(part)
        else:
            parts.clear()
    return b"".join(parts) if size <= max_bytes else None


async def _content(
    spec: model_pb2.ModelSpec, method: str, body: bytes, inference: Inference
) -> bytes:
    if method in ("status", "metadata"):
        return await run_in_threadpool(_told, spec, method, inference)
    pending = await _aside(len(body), _begin, spec, method, body, inference)
    computed = asyncio.wrap_future(pending.future)
    try:
        outputs = await asyncio.wait_for(computed, inference.request_seconds)
    except asyncio.TimeoutError:
        raise ServingError(StatusCode.DEADLINE_EXCEEDED, TIMED_OUT) from None
    size = sum(array.nbytes for array in outputs.values())
    answered: bytes = await _aside(size, pending.finish, outputs)
    return answered


async def _aside(size: int, function: Callable[..., Any], *arguments: Any) -> Any:
    """Calls a function; in a thread if `size` bytes of work would block the event loop.

    Small requests need no thread, with which they would wait for a core two more times.
    """
    if size <= _AT_ONCE_BYTES:
        return function(*arguments)
    return await run_in_threadpool(function, *arguments)


def _begin(spec: model_pb2.ModelSpec, method: str, body: bytes, inference: Inference) -> Pending:
    if method == "regress":
        raise ServingError(StatusCode.UNIMPLEMENTED, NO_REGRESSION)
    document = json_text.parse(body)
    if method == "predict":
        return inference.predict_json(spec, document)
    request = classification_pb2.ClassificationRequest(model_spec=spec)
    request.model_spec.signature_name = json_text.signature_name(document)
    request.input.CopyFrom(json_examples.examples(document))
    pending = inference.classify(request, None)
    return Pending(
        pending.future,
        lambda outputs: json_examples.classifications(pending.finish(outputs).result),
    )


def _told(spec: model_pb2.ModelSpec, method: str, inference: Inference) -> bytes:
    if method == "status":
        request = get_model_status_pb2.GetModelStatusRequest(model_spec=spec)
        text: str = json_format.MessageToJson(inference.status(request), **_PROTO_JSON)
        return text.encode()
    answered, known = (
        json_format.MessageToDict(message, **_PROTO_JSON)
        for message in inference.signature_map(spec)
    )
    return json_text.written({"model_spec": answered, "metadata": {"signature_def": known}})


def _error(status: int, message: str, *, close: bool = False) -> Response:
    headers = {"connection": "close"} if close else None
    content = json_text.written({"error": message})
    return Response(content, status, headers, media_type=_JSON)
