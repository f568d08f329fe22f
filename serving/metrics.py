"""Prometheus metrics, with the same names and path as in TF Serving.

Source: tensorflow/serving, util/prometheus_exporter.cc and servables/tensorflow/util.cc.
"""

from __future__ import annotations

import re

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Histogram

PATH = "/monitoring/prometheus/metrics"
_SERVING = ":tensorflow:serving:"
_LOADS = ":tensorflow:cc:saved_model:load_attempt_count"
_REQUESTS = f"{_SERVING}request_count"
_WARMUP_RECORDS = f"{_SERVING}model_warmup_records_read"
_MICROSECONDS = [10 * 1.8**power for power in range(33)]
_COUNTS = [2.0**power for power in range(14)]
# Lines of counters whose names in TF Serving lack the suffix _total, which the library appends.
_ENDED = re.compile(rf"^((?:# \w+ )?(?:{_REQUESTS}|{_WARMUP_RECORDS}|{_LOADS}))_total\b", re.M)

# TF Serving lacks the series of start times that the library adds for each counter.
prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]


class Metrics:
    """A server's metrics. Latencies are in microseconds, as in TF Serving."""

    def __init__(self) -> None:
        """Creates all metrics, at zero."""
        self._registry = CollectorRegistry()
        self.requests = self._counter(_REQUESTS, "model_name", "status")
        self.request_latency = self._histogram("request_latency", "model_name", "API", "entrypoint")
        self.runtime_latency = self._histogram("runtime_latency", "model_name", "API", "runtime")
        self.examples = self._histogram("request_example_counts", "model")
        self.examples_total = self._counter(f"{_SERVING}request_example_count_total", "model")
        self.warmup_latency = self._histogram("model_warmup_latency", "model_path", "status")
        self.warmup_records = self._counter(_WARMUP_RECORDS, "model_path", "status")
        self.loads = self._counter(_LOADS, "model_path", "status")
        self.queuing_latency = self._histogram("batching_session:queuing_latency", "model_name")
        self.batch_sizes = self._histogram("batching_session:processed_batch_size", "model_name")

    def page(self) -> str:
        """Returns the metrics in the text format that Prometheus scrapes."""
        return _ENDED.sub(r"\1", prometheus_client.generate_latest(self._registry).decode())

    def _counter(self, name: str, *labels: str) -> Counter:
        return Counter(name, "", labels, registry=self._registry)

    def _histogram(self, name: str, *labels: str) -> Histogram:
        limits = _MICROSECONDS if name.endswith("latency") else _COUNTS
        return Histogram(f"{_SERVING}{name}", "", labels, registry=self._registry, buckets=limits)
