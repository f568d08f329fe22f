"""Loads a version of a model and runs it in a session, as TF Serving does."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from grpc import StatusCode
from tensorflow_serving.apis import prediction_log_pb2

from serving import signatures, tensors
from serving.errors import ServingError, invalid
from serving.metrics import Metrics
from serving.signatures import Call
from serving.tensors import Array

WARMUP = "assets.extra/tf_serving_warmup_requests"
_MOST_WARMUP_RECORDS = 1000
_MOST_WARMUP_TENSOR_BYTES = 2**30

_v1 = tf.compat.v1  # for sessions, which TF Serving uses
_log = logging.getLogger(__name__)


class Servable:
    """A loaded SavedModel, which closes once it is retired and its last user has released it."""

    def __init__(self, model: str, version: int, path: str) -> None:
        """Loads the serving graph of the SavedModel at `path`, local or remote.

        Raises:
            Exception: TensorFlow's own error for a SavedModel that it cannot load.
        """
        self.model = model
        self.version = version
        self._lock = threading.Lock()
        self._users = 0
        self._retired: Callable[[], object] | None = None
        graph = tf.Graph()
        self._session = _v1.Session(graph=graph)
        try:
            with graph.as_default():
                meta_graph = _v1.saved_model.load(self._session, [tf.saved_model.SERVING], path)
            self.signatures: signatures.Signatures = dict(meta_graph.signature_def)
            self._inputs = _tensors(graph, self.signatures, "inputs")
            self._outputs = _tensors(graph, self.signatures, "outputs")
        except BaseException:
            self._session.close()
            raise

    def run(self, call: Call, seconds: float) -> dict[str, Array]:
        """Computes the outputs of a call, output name -> array; `seconds` is the time limit.

        Raises:
            tf.errors.OpError: the graph fails, or the time limit is exceeded (DEADLINE_EXCEEDED).
        """
        feeds = {self._inputs[call.signature][name]: call.inputs[name] for name in call.inputs}
        fetches = {name: self._outputs[call.signature][name] for name in call.outputs}
        options = _v1.RunOptions(timeout_in_ms=max(int(seconds * 1000), 1))
        found = self._session.run(fetches, feeds, options=options)
        return {name: _array(value) for name, value in found.items()}

    def hold(self) -> bool:
        """Keeps the model open until `release`; returns False if the model is closed already.

        While a hold lasts, another always succeeds.
        """
        with self._lock:
            if self._retired is not None and self._users == 0:
                return False
            self._users += 1
            return True

    def release(self) -> None:
        """Ends one `hold`, and closes a retired model if that was the last one."""
        with self._lock:
            self._users -= 1
            closed = self._retired if self._users == 0 else None
        if closed is not None:
            self._session.close()
            closed()

    def retire(self, closed: Callable[[], object]) -> None:
        """Closes the model as soon as nobody holds it, and then calls `closed`."""
        with self._lock:
            self._retired = closed
            self._users += 1
        self.release()


def load(model: str, version: int, path: str, metrics: Metrics, seconds: float) -> Servable:
    """Loads a SavedModel and runs its warm-up requests; `seconds` is the time limit of each.

    Raises:
        Exception: TensorFlow cannot load or run the model, or its warm-up file is wrong.
    """
    start = time.perf_counter()
    _log.info("%s version %d: loading %s", model, version, path)
    try:
        servable = Servable(model, version, path)
    except Exception:
        metrics.loads.labels(path, "fail").inc()
        raise
    metrics.loads.labels(path, "success").inc()
    _log.info("%s version %d: warming up", model, version)
    try:
        records = _warm_up(servable, path, metrics, seconds)
    except Exception:
        servable.retire(lambda: None)
        raise
    told = "%s version %d is loaded (%.1f s, %d warm-up requests)"
    _log.info(told, model, version, time.perf_counter() - start, records)
    return servable


def _warm_up(servable: Servable, path: str, metrics: Metrics, seconds: float) -> int:
    """Runs the warm-up requests in a SavedModel's WARMUP file, if any; returns their number."""
    file = f"{path}/{WARMUP}"
    if not tf.io.gfile.exists(file):
        return 0
    start = time.perf_counter()
    number = 0
    for number, record in enumerate(tf.data.TFRecordDataset(file).as_numpy_iterator(), 1):
        if number > _MOST_WARMUP_RECORDS:
            raise invalid(
                f"Number of warmup records exceeds the maximum ({_MOST_WARMUP_RECORDS}) at {file}"
            )
        try:
            log = prediction_log_pb2.PredictionLog.FromString(record)
        except Exception:
            raise invalid(f"Failed to parse warmup record {number} from {file}") from None
        servable.run(_warmup_call(servable.signatures, log), seconds)
    metrics.warmup_latency.labels(path, "OK").observe((time.perf_counter() - start) * 1e6)
    metrics.warmup_records.labels(path, "OK").inc(number)
    return number


def _warmup_call(known: signatures.Signatures, log: prediction_log_pb2.PredictionLog) -> Call:
    kind = log.WhichOneof("log_type")
    if kind == "predict_log":
        request = log.predict_log.request
        inputs = tensors.from_protos(request.inputs, _MOST_WARMUP_TENSOR_BYTES)
        name, wanted = request.model_spec.signature_name, list(request.output_filter)
        return signatures.predict_call(known, name, inputs, wanted)
    if kind == "classify_log":
        request = log.classify_log.request
        return signatures.classify_call(known, request.model_spec.signature_name, request.input)
    raise ServingError(StatusCode.UNIMPLEMENTED, f"Unsupported log_type for warmup: {kind}")


def _tensors(
    graph: tf.Graph, known: signatures.Signatures, side: str
) -> dict[str, dict[str, tf.Tensor]]:
    return {
        name: {
            alias: graph.get_tensor_by_name(info.name)
            for alias, info in getattr(signature, side).items()
            if info.name
        }
        for name, signature in known.items()
        if not name.startswith("__")  # the signature of an init op, which has no tensors
    }


def _array(value: Any) -> Array:
    # NumPy would convert a scalar string to a fixed-width type.
    return np.array(value, np.object_) if isinstance(value, bytes) else np.asarray(value)
