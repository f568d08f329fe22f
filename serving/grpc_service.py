"""The gRPC API: TF Serving's PredictionService and ModelService, on the official protos.

Source: tensorflow/serving, model_servers/prediction_service_impl.cc and model_service_impl.cc.
"""

from __future__ import annotations

import concurrent.futures
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import grpc
from grpc import StatusCode
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

from serving import ports
from serving.errors import NO_REGRESSION, TIMED_OUT, ServingError, serving_error
from serving.inference import Inference, Pending

_THREADS = 64
_MOST_CALLS = 1024
_NO_MULTI_INFERENCE = (
    "This server does not answer MultiInference; send each task as a request of its own"
)

_Answer = Callable[[Any, grpc.ServicerContext], Any]


def server(inference: Inference, host: str, port: int, max_bytes: int) -> tuple[grpc.Server, int]:
    """Returns a gRPC server, not started yet, and its port, which is a free one if `port` is 0.

    The server refuses requests larger than `max_bytes` as RESOURCE_EXHAUSTED.

    Raises:
        OSError: the port is not free.
    """
    made = grpc.server(
        concurrent.futures.ThreadPoolExecutor(_THREADS, thread_name_prefix="grpc"),
        maximum_concurrent_rpcs=_MOST_CALLS,
        options=[
            ("grpc.max_receive_message_length", max_bytes),
            ("grpc.max_send_message_length", -1),
            # Otherwise two servers on one port would silently share its requests.
            ("grpc.so_reuseport", 0),
        ],
    )
    methods = SimpleNamespace(
        Predict=_computed(inference, "Predict", inference.predict),
        Classify=_computed(inference, "Classify", inference.classify),
        Regress=_refused(NO_REGRESSION),
        MultiInference=_refused(_NO_MULTI_INFERENCE),
        GetModelMetadata=_guarded(lambda request, _: inference.metadata(request)),
        GetModelStatus=_guarded(lambda request, _: inference.status(request)),
        HandleReloadConfigRequest=_guarded(lambda request, _: inference.reload(request)),
    )
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(methods, made)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(methods, made)
    try:
        bound = made.add_insecure_port(f"{bracketed(host)}:{port}")
    except RuntimeError:
        bound = 0
    if bound == 0:
        raise ports.taken(host, port, "--grpc-port")
    return made, bound


def bracketed(host: str) -> str:
    """Returns a host as a URL needs it before a port: IPv6 addresses in brackets (RFC 3986)."""
    return f"[{host}]" if ":" in host else host


def _computed(
    inference: Inference, api: str, begin: Callable[[Any, float | None], Pending]
) -> _Answer:
    def answer(request: Any, context: grpc.ServicerContext) -> Any:
        with inference.counted(request.model_spec.name, api, "GRPC", time.perf_counter()):
            pending = begin(request, context.time_remaining())
            return _wait(pending, context, inference.request_seconds)

    return _guarded(answer)


def _wait(pending: Pending, context: grpc.ServicerContext, seconds: float) -> Any:
    left = context.time_remaining()
    try:
        outputs = pending.future.result(seconds if left is None else min(left, seconds))
    except (concurrent.futures.TimeoutError, concurrent.futures.CancelledError):
        pending.future.cancel()
        raise ServingError(StatusCode.DEADLINE_EXCEEDED, TIMED_OUT) from None
    return pending.finish(outputs)


def _refused(message: str) -> _Answer:
    def answer(_: Any, __: grpc.ServicerContext) -> Any:
        raise ServingError(StatusCode.UNIMPLEMENTED, message)

    return _guarded(answer)


def _guarded(answer: _Answer) -> _Answer:
    """Wraps a method so that each of its errors reaches the client as a gRPC status."""

    def guarded(request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return answer(request, context)
        except Exception as error:
            failure = serving_error(error)
        return context.abort(failure.code, failure.message)

    return guarded
