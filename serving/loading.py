"""A version of a model in memory: loaded and run as TF Serving does it, in a session."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import prediction_log_pb2

from serving import signatures
from serving.errors import Code, RefusedError, invalid
from serving.json_tensors import Array
from serving.metrics import Metrics
from serving.signatures import Call

WARMUP = "assets.extra/tf_serving_warmup_requests"
_MOST_WARMUP_RECORDS = 1000
_MOST_WARMUP_TENSOR_BYTES = 2**30


class Servable:
    """A loaded SavedModel. It is closed when it was retired and its last user let it go."""

    def __init__(self, model: str, version: int, path: str) -> None:
        """Loads a SavedModel's serving graph.

        Args:
            model: the model's name.
            version: its number.
            path: the SavedModel's folder, on any file system that TensorFlow knows.

        Raises:
            Exception: whatever TensorFlow raises for a SavedModel that it cannot load.
        """
        self.model = model
        self.version = version
        self._lock = threading.Lock()
        self._users = 0
        self._retired: Any = None
        graph = tf.Graph()
        self._session = tf.compat.v1.Session(graph=graph)
        try:
            with graph.as_default():
                meta_graph = tf.compat.v1.saved_model.load(
                    self._session, [tf.saved_model.SERVING], path
                )
            self.signatures: Mapping[str, meta_graph_pb2.SignatureDef] = dict(
                meta_graph.signature_def
            )
            self._inputs = _tensors(graph, self.signatures, "inputs")
            self._outputs = _tensors(graph, self.signatures, "outputs")
        except BaseException:
            self._session.close()
            raise

    def run(self, call: Call, seconds: float) -> dict[str, Array]:
        """Computes outputs.

        Args:
            call: what `signatures` made of a request.
            seconds: when to give up.

        Returns:
            Arrays by output name; strings are bytes in object arrays.

        Raises:
            RefusedError: what the graph raised, DEADLINE_EXCEEDED when time was up.
        """
        feeds = {self._inputs[call.signature][name]: call.inputs[name] for name in call.inputs}
        fetches = {name: self._outputs[call.signature][name] for name in call.outputs}
        options = tf.compat.v1.RunOptions(timeout_in_ms=max(int(seconds * 1000), 1))
        found = self._session.run(fetches, feeds, options=options)
        return {name: _array(value) for name, value in found.items()}

    def hold(self) -> bool:
        """Keeps the model from being closed until `release`; False when it is too late.

        It is never too late for whoever holds it already.
        """
        with self._lock:
            if self._retired is not None and self._users == 0:
                return False
            self._users += 1
            return True

    def release(self) -> None:
        """Ends one `hold`."""
        with self._lock:
            self._users -= 1
            last = self._users == 0 and self._retired is not None
        if last:
            self._close()

    def retire(self, closed: Any) -> None:
        """Closes the model once nobody holds it, now if nobody does.

        Args:
            closed: a function that is called without arguments afterwards.
        """
        with self._lock:
            self._retired = closed
            unused = self._users == 0
        if unused:
            self._close()

    def _close(self) -> None:
        self._session.close()
        self._retired()


def warm_up(servable: Servable, path: str, metrics: Metrics, seconds: float) -> int:
    """Replays the warm-up requests that lie beside a SavedModel.

    Args:
        servable: the loaded model.
        path: the SavedModel's folder.
        metrics: counts them.
        seconds: bound for each request.

    Returns:
        How many there were; none where there is no file.

    Raises:
        RefusedError: a record is no PredictionLog, a request fails, or there are over 1,000.
    """
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
        for call in _warmup_calls(servable.signatures, log):
            servable.run(call, seconds)
    metrics.warmup_latency.labels(path, "OK").observe((time.perf_counter() - start) * 1e6)
    metrics.warmup_records.labels(path, "OK").inc(number)
    return number


def _warmup_calls(
    known: signatures.Signatures, log: prediction_log_pb2.PredictionLog
) -> list[Call]:
    kind = log.WhichOneof("log_type")
    if kind == "predict_log":
        request = log.predict_log.request
        inputs = signatures.arrays(request.inputs, _MOST_WARMUP_TENSOR_BYTES)
        name, wanted = request.model_spec.signature_name, list(request.output_filter)
        return [signatures.predict_call(known, name, inputs, wanted)]
    if kind == "classify_log":
        request = log.classify_log.request
        name = request.model_spec.signature_name
        return [signatures.classify_call(known, name, request.input)]
    if kind == "regress_log":
        request = log.regress_log.request
        return [signatures.regress_call(known, request.model_spec.signature_name, request.input)]
    if kind == "multi_inference_log":
        request = log.multi_inference_log.request
        return [
            (
                signatures.classify_call
                if task.method_name == signatures.CLASSIFY_METHOD
                else signatures.regress_call
            )(known, task.model_spec.signature_name, request.input)
            for task in request.tasks
        ]
    raise RefusedError(Code.UNIMPLEMENTED, f"Unsupported log_type for warmup: {kind}")


def _tensors(
    graph: tf.Graph, known: signatures.Signatures, side: str
) -> dict[str, dict[str, tf.Tensor]]:
    found: dict[str, dict[str, tf.Tensor]] = {}
    for name, signature in known.items():
        if name.startswith("__"):
            continue  # the init op, which is no tensor
        infos = getattr(signature, side)
        found[name] = {
            alias: graph.get_tensor_by_name(info.name) for alias, info in infos.items() if info.name
        }
    return found


def _array(value: Any) -> Array:
    if isinstance(value, bytes):
        scalar = np.empty((), np.object_)
        scalar[()] = value
        return scalar
    return np.asarray(value)
