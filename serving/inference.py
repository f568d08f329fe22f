"""The requests that a server answers, in TF Serving's messages, whichever way they came."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    input_pb2,
    model_management_pb2,
    model_pb2,
    predict_pb2,
    regression_pb2,
)

from serving import json_tensors, model_config, signatures
from serving.batching import Batcher, Outputs
from serving.errors import Code, RefusedError, invalid
from serving.loading import Servable
from serving.metrics import Metrics
from serving.models import Models
from serving.signatures import Call

_SIGNATURES = "signature_def"


@dataclass(frozen=True)
class Pending:
    """An answer to come.

    Attributes:
        future: the outputs, or the RefusedError.
        finish: makes the answer of them; it may raise RefusedError.
    """

    future: Future[Outputs]
    finish: Callable[[Outputs], Any]


class Inference:
    """What the REST and the gRPC side share: checks, batching and messages."""

    def __init__(
        self,
        models: Models,
        batcher: Batcher,
        metrics: Metrics,
        *,
        request_seconds: float,
        most_bytes: int,
    ) -> None:
        """Puts the parts together.

        Args:
            models: what is served.
            batcher: computes.
            metrics: counts.
            request_seconds: how long a computation may take, its wait included.
            most_bytes: the most that a request's tensor may take.
        """
        self.metrics = metrics
        self.request_seconds = request_seconds
        self._models = models
        self._batcher = batcher
        self._most_bytes = most_bytes

    def predict_json(self, spec: model_pb2.ModelSpec, document: Mapping[str, Any]) -> Pending:
        """Starts a prediction for a REST request.

        Args:
            spec: model, and version or label.
            document: the parsed body.

        Returns:
            What ends in the body of the answer.

        Raises:
            RefusedError: the model, its signature or the queue does not admit the request.
        """
        signature = json_tensors.signature_name(document)
        with self._models.held(spec) as servable:
            name = signature or signatures.DEFAULT
            if name not in servable.signatures:
                raise invalid(f'Serving signature name: "{name}" not found in signature def')
            infos = servable.signatures[name].inputs
            if not infos:
                raise invalid(f"Failed to get input map for signature: {signature or 'DEFAULT'}")
            body = json_tensors.predict_body(document, infos)
            call = signatures.predict_call(servable.signatures, name, body.inputs, ())
            future = self._submit(servable, call, "Predict", None)
        return Pending(future, lambda outputs: json_tensors.predictions(outputs, body.by_row))

    def predict(self, request: predict_pb2.PredictRequest, seconds: float | None = None) -> Pending:
        """Starts a prediction, which ends in a PredictResponse.

        Args:
            request: see TF Serving's proto.
            seconds: when to give up, if before the server's own limit.

        Raises:
            RefusedError: the model, its signature or the queue does not admit the request.
        """
        with self._models.held(request.model_spec) as servable:
            inputs = signatures.arrays(request.inputs, self._most_bytes)
            call = signatures.predict_call(
                servable.signatures,
                request.model_spec.signature_name,
                inputs,
                list(request.output_filter),
            )
            answered = _spec(servable, call.signature)
            future = self._submit(servable, call, "Predict", seconds)

        def finish(outputs: Outputs) -> predict_pb2.PredictResponse:
            response = predict_pb2.PredictResponse(model_spec=answered)
            for name, array in outputs.items():
                response.outputs[name].CopyFrom(signatures.tensor_proto(array))
            return response

        return Pending(future, finish)

    def classify(
        self,
        request: classification_pb2.ClassificationRequest,
        seconds: float | None = None,
    ) -> Pending:
        """Starts a classification, which ends in a ClassificationResponse; see `predict`."""
        spec = request.model_spec
        with self._models.held(spec) as servable:
            return self._classify(servable, spec.signature_name, request.input, seconds)

    def regress(
        self, request: regression_pb2.RegressionRequest, seconds: float | None = None
    ) -> Pending:
        """Starts a regression, which ends in a RegressionResponse; see `predict`."""
        spec = request.model_spec
        with self._models.held(spec) as servable:
            return self._regress(servable, spec.signature_name, request.input, seconds)

    def tasks(
        self, request: inference_pb2.MultiInferenceRequest, seconds: float | None = None
    ) -> list[Pending]:
        """Starts the tasks of a MultiInference request, each of which ends in an InferenceResult.

        Raises:
            RefusedError: the tasks are of several models or name a signature twice, or one is no
                classification or regression.
        """
        specs = [task.model_spec for task in request.tasks]
        if not specs:
            raise invalid("ModelSpec has no name specified.")
        if any(not spec.name for spec in specs):
            raise invalid("Found ModelSpec with an empty model name.")
        if len({spec.name for spec in specs}) > 1:
            raise invalid(
                "All ModelSpecs in a MultiInferenceRequest must access the same model name."
            )
        names = [spec.signature_name or signatures.DEFAULT for spec in specs]
        for position, name in enumerate(names):
            if name in names[:position]:
                raise invalid(f"Duplicate evaluation of signature: {name}")
        for task in request.tasks:
            if task.method_name not in (signatures.CLASSIFY_METHOD, signatures.REGRESS_METHOD):
                raise RefusedError(
                    Code.UNIMPLEMENTED, f"Unsupported signature method_name: {task.method_name}"
                )
        # The first task's version answers all of them.
        with self._models.held(specs[0]) as servable:
            return [self._task(servable, task, request.input, seconds) for task in request.tasks]

    def metadata(
        self, request: get_model_metadata_pb2.GetModelMetadataRequest
    ) -> get_model_metadata_pb2.GetModelMetadataResponse:
        """Tells a model's signatures.

        Raises:
            RefusedError: there is no such model, or the request is for anything else.
        """
        if not request.HasField("model_spec"):
            raise invalid("Missing ModelSpec")
        if not request.metadata_field:
            raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
        for wanted in request.metadata_field:
            if wanted != _SIGNATURES:
                raise invalid(f"Metadata field {wanted} is not supported")
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        known = self.signature_map(request.model_spec, response.model_spec)
        response.metadata[_SIGNATURES].Pack(known)
        return response

    def signature_map(
        self, spec: model_pb2.ModelSpec, answered: model_pb2.ModelSpec
    ) -> get_model_metadata_pb2.SignatureDefMap:
        """Returns a model's signatures, and fills in which version has them."""
        found = get_model_metadata_pb2.SignatureDefMap()
        with self._models.held(spec) as servable:
            answered.CopyFrom(_spec(servable, ""))
            for name, signature in servable.signatures.items():
                found.signature_def[name].CopyFrom(signature)
        return found

    def status(
        self, request: get_model_status_pb2.GetModelStatusRequest
    ) -> get_model_status_pb2.GetModelStatusResponse:
        """Tells the states of a model's versions.

        Raises:
            RefusedError: there is no such model or version.
        """
        if not request.HasField("model_spec"):
            raise invalid("Missing ModelSpec")
        response = get_model_status_pb2.GetModelStatusResponse()
        for version, status in self._models.statuses(request.model_spec).items():
            added = response.model_version_status.add()
            added.version, added.state = version, status.state
            added.status.error_code = int(status.code)
            added.status.error_message = status.message
        return response

    def reload(self, request: model_management_pb2.ReloadConfigRequest) -> None:
        """Serves what a config says from now on.

        Raises:
            RefusedError: the config is wrong, a model does not load, or a label names a version
                that is not available.
        """
        self._models.configure(model_config.models(request.config), strict=True)

    def finished(
        self, name: str, error: RefusedError | None, api: str, entrypoint: str, start: float
    ) -> None:
        """Counts a request.

        Args:
            name: the model's, as requested.
            error: what it ended with; None for an answer.
            api: predict, classify and so on.
            entrypoint: REST or GRPC.
            start: `time.perf_counter()` when it came.
        """
        # Names that callers make up would grow the page without bound.
        known = name if name in self._models.names() else ""
        self.metrics.requests.labels(known, error.code.name if error else "OK").inc()
        if error is None:
            micros = (time.perf_counter() - start) * 1e6
            self.metrics.request_latency.labels(known, api, entrypoint).observe(micros)

    def _task(
        self,
        servable: Servable,
        task: inference_pb2.InferenceTask,
        examples: input_pb2.Input,
        seconds: float | None,
    ) -> Pending:
        classify = task.method_name == signatures.CLASSIFY_METHOD
        begin = self._classify if classify else self._regress
        pending = begin(servable, task.model_spec.signature_name, examples, seconds)

        def finish(outputs: Outputs) -> inference_pb2.InferenceResult:
            response = pending.finish(outputs)
            result = inference_pb2.InferenceResult(model_spec=response.model_spec)
            kind = "classification_result" if classify else "regression_result"
            getattr(result, kind).CopyFrom(response.result)
            return result

        return Pending(pending.future, finish)

    def _classify(
        self, servable: Servable, signature: str, examples: input_pb2.Input, seconds: float | None
    ) -> Pending:
        call = signatures.classify_call(servable.signatures, signature, examples)
        count, answered = self._count(servable, call), _spec(servable, call.signature)

        def finish(outputs: Outputs) -> classification_pb2.ClassificationResponse:
            result = signatures.classification_result(outputs, count)
            return classification_pb2.ClassificationResponse(result=result, model_spec=answered)

        return Pending(self._submit(servable, call, "Classify", seconds), finish)

    def _regress(
        self, servable: Servable, signature: str, examples: input_pb2.Input, seconds: float | None
    ) -> Pending:
        call = signatures.regress_call(servable.signatures, signature, examples)
        count, answered = self._count(servable, call), _spec(servable, call.signature)

        def finish(outputs: Outputs) -> regression_pb2.RegressionResponse:
            result = signatures.regression_result(outputs, count)
            return regression_pb2.RegressionResponse(result=result, model_spec=answered)

        return Pending(self._submit(servable, call, "Regress", seconds), finish)

    def _count(self, servable: Servable, call: Call) -> int:
        count = len(next(iter(call.inputs.values())))
        self.metrics.examples.labels(servable.model).observe(count)
        self.metrics.examples_total.labels(servable.model).inc(count)
        return count

    def _submit(
        self, servable: Servable, call: Call, api: str, seconds: float | None
    ) -> Future[Outputs]:
        limit = self.request_seconds if seconds is None else min(seconds, self.request_seconds)
        start = time.perf_counter()
        # The caller's own hold ends before the computation does.
        if not servable.hold():
            raise RefusedError(
                Code.UNAVAILABLE, f"{servable.model} version {servable.version} is unloading"
            )
        try:
            future = self._batcher.submit(servable, call, limit)
        except BaseException:
            servable.release()
            raise

        def done(_: Future[Outputs]) -> None:
            micros = (time.perf_counter() - start) * 1e6
            self.metrics.runtime_latency.labels(servable.model, api, "TF1").observe(micros)
            servable.release()

        future.add_done_callback(done)
        return future


def _spec(servable: Servable, signature: str) -> model_pb2.ModelSpec:
    spec = model_pb2.ModelSpec(name=servable.model, signature_name=signature)
    spec.version.value = servable.version
    return spec
