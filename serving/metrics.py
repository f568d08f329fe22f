"""Counts and latencies under TF Serving's names, on TF Serving's path.

Source: tensorflow/serving, util/prometheus_exporter.cc and servables/tensorflow/util.cc. A
Prometheus client library would append `_total` to counters, which TF Serving does not.
"""

from __future__ import annotations

import bisect
import threading
from collections.abc import Sequence

PATH = "/monitoring/prometheus/metrics"


class Counter:
    """A number for each combination of label values."""

    def __init__(self, name: str, labels: Sequence[str]) -> None:
        """Starts with no combination.

        Args:
            name: as TF Serving writes it, /tensorflow/serving/….
            labels: names of the labels.
        """
        self._name = _exported(name)
        self._labels = tuple(labels)
        self._lock = threading.Lock()
        self._values: dict[tuple[str, ...], int] = {}

    def add(self, *labels: str, amount: int = 1) -> None:
        """Adds to the number for these label values."""
        with self._lock:
            self._values[labels] = self._values.get(labels, 0) + amount

    def lines(self) -> list[str]:
        """Returns the lines of Prometheus's text format."""
        with self._lock:
            values = dict(self._values)
        written = [f"# TYPE {self._name} counter"]
        for labels, value in values.items():
            written.append(f"{self._name}{{{_pairs(self._labels, labels)}}} {value}")
        return written


class Histogram:
    """Counts by size for each combination of label values."""

    def __init__(
        self, name: str, labels: Sequence[str], scale: float, growth: float, buckets: int
    ) -> None:
        """Starts with no combination.

        Args:
            name: as TF Serving writes it, /tensorflow/serving/….
            labels: names of the labels.
            scale: upper limit of the first bucket.
            growth: factor between the limits.
            buckets: how many have a limit; one more takes the rest.
        """
        self._name = _exported(name)
        self._labels = tuple(labels)
        self._limits = [scale * growth**power for power in range(buckets)]
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, ...], list[int]] = {}
        self._sums: dict[tuple[str, ...], float] = {}

    def add(self, *labels: str, value: float) -> None:
        """Counts a value."""
        bucket = bisect.bisect_left(self._limits, value)
        with self._lock:
            counts = self._counts.setdefault(labels, [0] * (len(self._limits) + 1))
            counts[bucket] += 1
            self._sums[labels] = self._sums.get(labels, 0.0) + value

    def lines(self) -> list[str]:
        """Returns the lines of Prometheus's text format."""
        with self._lock:
            counts = {labels: tuple(found) for labels, found in self._counts.items()}
            sums = dict(self._sums)
        written = [f"# TYPE {self._name} histogram"]
        limits = [f"{limit:g}" for limit in self._limits] + ["+Inf"]
        for labels, found in counts.items():
            pairs = _pairs(self._labels, labels)
            total = 0
            for limit, count in zip(limits, found, strict=True):
                total += count
                written.append(f'{self._name}_bucket{{{pairs},le="{limit}"}} {total}')
            written.append(f"{self._name}_sum{{{pairs}}} {sums[labels]:g}")
            written.append(f"{self._name}_count{{{pairs}}} {total}")
        return written


class Metrics:
    """All that a server counts. Latencies are in microseconds, as in TF Serving."""

    def __init__(self) -> None:
        """Starts at zero."""
        serving = "/tensorflow/serving"
        latency = (10, 1.8, 33)
        self.requests = Counter(f"{serving}/request_count", ("model_name", "status"))
        self.request_latency = Histogram(
            f"{serving}/request_latency", ("model_name", "API", "entrypoint"), *latency
        )
        self.runtime_latency = Histogram(
            f"{serving}/runtime_latency", ("model_name", "API", "runtime"), *latency
        )
        self.examples = Histogram(f"{serving}/request_example_counts", ("model",), 1, 2, 14)
        self.examples_total = Counter(f"{serving}/request_example_count_total", ("model",))
        self.warmup_latency = Histogram(
            f"{serving}/model_warmup_latency", ("model_path", "status"), *latency
        )
        self.warmup_records = Counter(
            f"{serving}/model_warmup_records_read", ("model_path", "status")
        )
        self.loads = Counter(
            "/tensorflow/cc/saved_model/load_attempt_count", ("model_path", "status")
        )
        self.queuing_latency = Histogram(
            f"{serving}/batching_session/queuing_latency", ("model_name",), *latency
        )
        self.batch_sizes = Histogram(
            f"{serving}/batching_session/processed_batch_size", ("model_name",), 1, 2, 14
        )

    def page(self) -> str:
        """Returns the page that Prometheus scrapes."""
        return "".join(f"{line}\n" for one in vars(self).values() for line in one.lines())


def _exported(name: str) -> str:
    return "".join(
        character if character.isalnum() or character == "_" else ":" for character in name
    )


def _pairs(names: Sequence[str], values: Sequence[str]) -> str:
    escaped = (
        value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") for value in values
    )
    return ",".join(f'{name}="{value}"' for name, value in zip(names, escaped, strict=True))
