"""Answers requests of REST and gRPC with TF Serving's messages."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from grpc import StatusCode
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    model_pb2,
    predict_pb2,
)

from serving import json_tensors, json_text, model_config, signatures, tensors
from serving.batching import Batcher, Outputs
from serving.errors import ServingError, invalid, serving_error
from serving.loading import Servable
from serving.metrics import Metrics
from serving.models import Models
from serving.signatures import Call

_SIGNATURES = "signature_def"


@dataclass(frozen=True)
class Pending:
    """An answer whose outputs are still being computed."""

    future: Future[Outputs]  # raises a ServingError if the computation fails
    finish: Callable[[Outputs], Any]  # makes the answer of the outputs, or raises a ServingError


@dataclass(frozen=True)
class Inference:
    """Checks requests, submits them to the batcher and makes the answers."""

    models: Models
    batcher: Batcher
    metrics: Metrics
    request_seconds: float  # time limit of a computation, including the wait in the queue
    most_bytes: int  # size limit of each tensor in a gRPC request

    def predict_json(self, spec: model_pb2.ModelSpec, document: Mapping[str, Any]) -> Pending:
        """Starts the prediction of a REST request, a parsed body; the answer is a JSON body.

        Raises:
            ServingError: the request names no served model, does not fit the signature, or finds
                the queue full.
        """
        signature = json_text.signature_name(document)
        with self.models.held(spec) as servable:
            name = signature or signatures.DEFAULT
            if name not in servable.signatures:
                raise invalid(f'Serving signature name: "{name}" not found in signature def')
            infos = servable.signatures[name].inputs
            if not infos:
                raise invalid(f"Failed to get input map for signature: {signature or 'DEFAULT'}")
            inputs, by_row = json_tensors.predict_body(document, infos)
            call = signatures.predict_call(servable.signatures, name, inputs, ())
            future = self._submit(servable, call, "Predict", None)
        return Pending(future, lambda outputs: json_tensors.predictions(outputs, by_row))

    def predict(self, request: predict_pb2.PredictRequest, seconds: float | None) -> Pending:
        """Starts the prediction of a gRPC request; the answer is a PredictResponse.

        `seconds` is the client's time limit, if any; `request_seconds` applies too.

        Raises:
            ServingError: the request names no served model, does not fit the signature, or finds
                the queue full.
        """
        spec = request.model_spec
        with self.models.held(spec) as servable:
            inputs = tensors.from_protos(request.inputs, self.most_bytes)
            wanted = list(request.output_filter)
            call = signatures.predict_call(servable.signatures, spec.signature_name, inputs, wanted)
            answered = _spec(servable, call.signature)
            future = self._submit(servable, call, "Predict", seconds)

        def finish(outputs: Outputs) -> predict_pb2.PredictResponse:
            packed = {name: tensors.to_proto(array) for name, array in outputs.items()}
            return predict_pb2.PredictResponse(model_spec=answered, outputs=packed)

        return Pending(future, finish)

    def classify(
        self, request: classification_pb2.ClassificationRequest, seconds: float | None
    ) -> Pending:
        """Starts a classification; the answer is a ClassificationResponse. See `predict`."""
        spec = request.model_spec
        with self.models.held(spec) as servable:
            call = signatures.classify_call(servable.signatures, spec.signature_name, request.input)
            (examples,) = map(len, call.inputs.values())
            self.metrics.examples.labels(servable.model).observe(examples)
            self.metrics.examples_total.labels(servable.model).inc(examples)
            answered = _spec(servable, call.signature)
            future = self._submit(servable, call, "Classify", seconds)

        def finish(outputs: Outputs) -> classification_pb2.ClassificationResponse:
            result = signatures.classification_result(outputs, examples)
            return classification_pb2.ClassificationResponse(result=result, model_spec=answered)

        return Pending(future, finish)

    def metadata(
        self, request: get_model_metadata_pb2.GetModelMetadataRequest
    ) -> get_model_metadata_pb2.GetModelMetadataResponse:
        """Returns the signatures of a model's version.

        Raises:
            ServingError: there is no such version, or the request is for other metadata.
        """
        if not request.HasField("model_spec"):
            raise invalid("Missing ModelSpec")
        if not request.metadata_field:
            raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
        for wanted in request.metadata_field:
            if wanted != _SIGNATURES:
                raise invalid(f"Metadata field {wanted} is not supported")
        answered, known = self.signature_map(request.model_spec)
        response = get_model_metadata_pb2.GetModelMetadataResponse(model_spec=answered)
        response.metadata[_SIGNATURES].Pack(known)
        return response

    def signature_map(
        self, spec: model_pb2.ModelSpec
    ) -> tuple[model_pb2.ModelSpec, get_model_metadata_pb2.SignatureDefMap]:
        """Returns the model and version to which `spec` resolves, and that version's signatures."""
        with self.models.held(spec) as servable:
            known = get_model_metadata_pb2.SignatureDefMap(signature_def=servable.signatures)
            return _spec(servable, ""), known

    def status(
        self, request: get_model_status_pb2.GetModelStatusRequest
    ) -> get_model_status_pb2.GetModelStatusResponse:
        """Returns the states of all versions of a model, or of the requested version.

        Raises:
            ServingError: there is no such model or version.
        """
        if not request.HasField("model_spec"):
            raise invalid("Missing ModelSpec")
        response = get_model_status_pb2.GetModelStatusResponse()
        for version, status in self.models.statuses(request.model_spec).items():
            added = response.model_version_status.add(version=version, state=status.state)
            added.status.error_code = status.code.value[0]
            added.status.error_message = status.message
        return response

    def reload(
        self, request: model_management_pb2.ReloadConfigRequest
    ) -> model_management_pb2.ReloadConfigResponse:
        """Replaces the served models by those of the request's config.

        Raises:
            ServingError: the config is wrong, a model does not load, or a label names a version
                that is not available.
        """
        self.models.configure(model_config.models(request.config), strict=True)
        return model_management_pb2.ReloadConfigResponse()

    @contextlib.contextmanager
    def counted(self, name: str, api: str, entrypoint: str, start: float) -> Iterator[None]:
        """Counts the request handled in the block, and its latency since `start` (perf_counter)."""
        # Metrics for each name that clients invent would let the page grow without bound.
        known = name if name in self.models.names() else ""
        try:
            yield
        except Exception as error:
            self.metrics.requests.labels(known, serving_error(error).code.name).inc()
            raise
        self.metrics.requests.labels(known, "OK").inc()
        self.metrics.request_latency.labels(known, api, entrypoint).observe(_micros(start))

    def _submit(
        self, servable: Servable, call: Call, api: str, seconds: float | None
    ) -> Future[Outputs]:
        limit = self.request_seconds if seconds is None else min(seconds, self.request_seconds)
        start = time.perf_counter()
        # The hold of `models.held` ends before the computation does.
        if not servable.hold():
            raise ServingError(
                StatusCode.UNAVAILABLE, f"{servable.model} version {servable.version} is unloading"
            )
        try:
            future = self.batcher.submit(servable, call, limit)
        except BaseException:
            servable.release()
            raise

        def done(_: Future[Outputs]) -> None:
            latency = self.metrics.runtime_latency.labels(servable.model, api, "TF1")
            latency.observe(_micros(start))
            servable.release()

        future.add_done_callback(done)
        return future


def _micros(start: float) -> float:
    return (time.perf_counter() - start) * 1e6


def _spec(servable: Servable, signature: str) -> model_pb2.ModelSpec:
    spec = model_pb2.ModelSpec(name=servable.model, signature_name=signature)
    spec.version.value = servable.version
    return spec
