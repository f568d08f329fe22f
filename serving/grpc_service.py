"""The gRPC side: TF Serving's PredictionService and ModelService, on the official protos.

Source: tensorflow/serving, model_servers/prediction_service_impl.cc and model_service_impl.cc.
"""

from __future__ import annotations

import concurrent.futures
import time
from collections.abc import Callable
from typing import Any, NoReturn

import grpc
from grpc import StatusCode
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from serving.errors import NO_REGRESSION, ServingError, serving_error
from serving.inference import Inference, Pending

_THREADS = 64
_MOST_CALLS = 1024


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Predict, Classify and GetModelMetadata; it refuses Regress and MultiInference."""

    def __init__(self, inference: Inference) -> None:
        """Makes its answers with `inference`."""
        self._inference = inference

    def Predict(  # noqa: N802
        self, request: predict_pb2.PredictRequest, context: grpc.ServicerContext
    ) -> predict_pb2.PredictResponse:
        """Computes a signature's outputs."""
        return self._answer("Predict", self._inference.predict, request, context)

    def Classify(  # noqa: N802
        self, request: classification_pb2.ClassificationRequest, context: grpc.ServicerContext
    ) -> classification_pb2.ClassificationResponse:
        """Classifies tf.Examples."""
        return self._answer("Classify", self._inference.classify, request, context)

    def Regress(  # noqa: N802
        self, request: regression_pb2.RegressionRequest, context: grpc.ServicerContext
    ) -> regression_pb2.RegressionResponse:
        """Refuses the request."""
        context.abort(StatusCode.UNIMPLEMENTED, NO_REGRESSION)

    def MultiInference(  # noqa: N802
        self, request: inference_pb2.MultiInferenceRequest, context: grpc.ServicerContext
    ) -> inference_pb2.MultiInferenceResponse:
        """Refuses the request."""
        context.abort(
            StatusCode.UNIMPLEMENTED,
            "This server does not answer MultiInference; send each task as a request of its own",
        )

    def GetModelMetadata(  # noqa: N802
        self,
        request: get_model_metadata_pb2.GetModelMetadataRequest,
        context: grpc.ServicerContext,
    ) -> get_model_metadata_pb2.GetModelMetadataResponse:
        """Lists a model's signatures."""
        return _guarded(lambda: self._inference.metadata(request), context)

    def _answer(
        self,
        api: str,
        begin: Callable[[Any, float | None], Pending],
        request: Any,
        context: grpc.ServicerContext,
    ) -> Any:
        start = time.perf_counter()
        failure = None
        try:
            pending = begin(request, context.time_remaining())
            return _wait(pending, context, self._inference.request_seconds)
        except Exception as error:
            failure = serving_error(error)
        finally:
            self._inference.finished(request.model_spec.name, failure, api, "GRPC", start)
        return _abort(failure, context)


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """GetModelStatus and HandleReloadConfigRequest."""

    def __init__(self, inference: Inference) -> None:
        """Makes its answers with `inference`."""
        self._inference = inference

    def GetModelStatus(  # noqa: N802
        self, request: get_model_status_pb2.GetModelStatusRequest, context: grpc.ServicerContext
    ) -> get_model_status_pb2.GetModelStatusResponse:
        """Lists the states of a model's versions."""
        return _guarded(lambda: self._inference.status(request), context)

    def HandleReloadConfigRequest(  # noqa: N802
        self, request: model_management_pb2.ReloadConfigRequest, context: grpc.ServicerContext
    ) -> model_management_pb2.ReloadConfigResponse:
        """Serves what another config says."""
        _guarded(lambda: self._inference.reload(request), context)
        return model_management_pb2.ReloadConfigResponse()


def server(inference: Inference, host: str, port: int, max_bytes: int) -> tuple[grpc.Server, int]:
    """Makes a server, which is not started yet.

    Args:
        inference: makes the answers.
        host: address to listen on.
        port: 0 takes a free one.
        max_bytes: a larger request is refused as RESOURCE_EXHAUSTED.

    Returns:
        The server and its port.

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
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
        PredictionService(inference), made
    )
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(inference), made)
    try:
        bound = made.add_insecure_port(f"{bracketed(host)}:{port}")
    except RuntimeError:
        bound = 0
    if bound == 0:
        raise OSError(f"gRPC port {port} on {host} is not free; another server may listen there")
    return made, bound


def bracketed(host: str) -> str:
    """Writes a host as it stands before a port: an IPv6 address in brackets (RFC 3986)."""
    return f"[{host}]" if ":" in host else host


def _wait(pending: Pending, context: grpc.ServicerContext, seconds: float) -> Any:
    left = context.time_remaining()
    try:
        outputs = pending.future.result(seconds if left is None else min(left, seconds))
    except (concurrent.futures.TimeoutError, concurrent.futures.CancelledError):
        pending.future.cancel()
        raise ServingError(
            StatusCode.DEADLINE_EXCEEDED, "Timed out waiting for notification"
        ) from None
    return pending.finish(outputs)


def _guarded(answer: Callable[[], Any], context: grpc.ServicerContext) -> Any:
    try:
        return answer()
    except Exception as error:
        failure = serving_error(error)
    return _abort(failure, context)


def _abort(failure: ServingError, context: grpc.ServicerContext) -> NoReturn:
    context.abort(failure.code, failure.message)
    raise AssertionError("abort raises")
