"""Dynamic batching: waiting requests for the same model and signature are computed as one batch.

Each model's queue is bounded. A request that finds the queue full is refused as UNAVAILABLE, as in
TF Serving's batch scheduler, so that callers learn of an overload at once.
"""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from grpc import StatusCode

from serving import signatures
from serving.errors import ServingError, invalid, serving_error
from serving.loading import Servable
from serving.metrics import Metrics
from serving.signatures import Call
from serving.tensors import Array

Outputs = dict[str, Array]


@dataclass(frozen=True)
class Parameters:
    """The settings of batching, with TF Serving's names."""

    max_batch_size: int = 64  # rows in one computation; a larger request is computed in pieces
    batch_timeout_micros: int = 0  # time for which an incomplete batch waits for more rows
    max_enqueued_batches: int = 16  # full batches that may wait for each model
    num_batch_threads: int = 2  # computations at the same time


def parse_parameters(text: str, defaults: Parameters) -> Parameters:
    """Reads TF Serving's batching parameters: lines such as `max_batch_size { value: 128 }`.

    Other keys, such as pad_variable_length_inputs, have no effect here.

    Raises:
        ServingError: a value is not a positive number (the timeout may be 0).
    """
    values = dict(vars(defaults))
    for key, value in re.findall(r"(\w+)\s*:?\s*{\s*value\s*:\s*([^\s}]+)\s*}", text):
        if key not in values:
            continue
        least = 0 if key == "batch_timeout_micros" else 1
        if not value.isdecimal() or int(value) < least:
            raise invalid(f"{key}: found {value}; allowed: a whole number from {least} up")
        values[key] = int(value)
    return Parameters(**values)


@dataclass(eq=False)
class _Task:
    """A queued request; tasks with equal keys can share a batch, except if the key is None."""

    servable: Servable
    call: Call
    deadline: float
    rows: int
    key: Any
    future: Future[Outputs] = field(default_factory=Future)
    queued: float = field(default_factory=time.monotonic)

    def run(self, inputs: Mapping[str, Array]) -> Outputs:
        """Computes outputs for `inputs`: those of a whole batch, or a part of the task's own."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise ServingError(StatusCode.DEADLINE_EXCEEDED, "The request timed out in the queue")
        return self.servable.run(replace(self.call, inputs=inputs), left)


class Batcher:
    """Threads that compute submitted requests, in batches if possible."""

    def __init__(self, parameters: Parameters, metrics: Metrics) -> None:
        """Starts the threads."""
        self._parameters = parameters
        self._most_rows = parameters.max_enqueued_batches * parameters.max_batch_size
        self._metrics = metrics
        self._changed = threading.Condition()
        self._tasks: list[_Task] = []
        self._waiting: Counter[str] = Counter()
        self._stopping = False
        self._threads = [
            threading.Thread(target=self._work, name=f"batch-{number}", daemon=True)
            for number in range(parameters.num_batch_threads)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, servable: Servable, call: Call, seconds: float) -> Future[Outputs]:
        """Queues a computation; it fails if it has not ended after `seconds`.

        The caller must hold the servable until the future is done. Cancelling the future drops the
        computation if it has not started.

        Raises:
            ServingError: UNAVAILABLE, the model's queue is full or the server is stopping.
        """
        task = _task(servable, call, time.monotonic() + seconds)
        with self._changed:
            waiting = self._waiting[servable.model] + self._weight(task)
            if self._stopping:
                raise ServingError(StatusCode.UNAVAILABLE, "The server is shutting down")
            if waiting > self._most_rows:
                raise ServingError(
                    StatusCode.UNAVAILABLE,
                    "The batch scheduling queue to which this task was submitted is full",
                )
            self._waiting[servable.model] = waiting
            self._tasks.append(task)
            # Wakes all threads, because any single one might be filling another batch.
            self._changed.notify_all()
        return task.future

    def stop(self) -> None:
        """Refuses new computations, finishes the queued ones, and ends the threads."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _weight(self, task: _Task) -> int:
        """Returns a task's rows, capped at the queue's size: an empty queue admits any request."""
        return min(task.rows, self._most_rows)

    def _work(self) -> None:
        while (batch := self._next()) is not None:
            live = [task for task in batch if task.future.set_running_or_notify_cancel()]
            if live:
                self._compute(live)

    def _next(self) -> list[_Task] | None:
        """Dequeues the oldest task and tasks that can share its batch; None after `stop`."""
        most = self._parameters.max_batch_size
        with self._changed:
            self._changed.wait_for(lambda: self._tasks or self._stopping)
            if not self._tasks:
                return None
            first = self._tasks[0]
            batch = [self._take(first)]
            end = first.queued + self._parameters.batch_timeout_micros / 1e6
            while first.key is not None:
                for task in [task for task in self._tasks if task.key == first.key]:
                    if sum(each.rows for each in batch) + task.rows <= most:
                        batch.append(self._take(task))
                left = end - time.monotonic()
                if sum(each.rows for each in batch) >= most or left <= 0 or self._stopping:
                    break
                self._changed.wait(left)
            return batch

    def _take(self, task: _Task) -> _Task:
        self._tasks.remove(task)
        self._waiting[task.servable.model] -= self._weight(task)
        return task

    def _compute(self, batch: list[_Task]) -> None:
        now = time.monotonic()
        model = batch[0].servable.model
        for task in batch:
            self._metrics.queuing_latency.labels(model).observe((now - task.queued) * 1e6)
        self._metrics.batch_sizes.labels(model).observe(sum(task.rows for task in batch))
        if len(batch) > 1:
            # One bad image must not fail other requests, so on an error each is computed alone.
            with contextlib.suppress(Exception):
                for task, answer in zip(batch, _together(batch), strict=True):
                    task.future.set_result(answer)
                return
        for task in batch:
            try:
                task.future.set_result(_alone(task, self._parameters.max_batch_size))
            except Exception as error:
                task.future.set_exception(serving_error(error))


def _task(servable: Servable, call: Call, deadline: float) -> _Task:
    batchable = signatures.batchable(servable.signatures[call.signature], call.outputs)
    rows = signatures.rows(call.inputs) if batchable else None
    if not rows:
        return _Task(servable, call, deadline, rows=1, key=None)
    shapes = tuple((name, array.shape[1:]) for name, array in sorted(call.inputs.items()))
    key = (id(servable), call.signature, call.outputs, shapes)
    return _Task(servable, call, deadline, rows, key)


def _together(batch: list[_Task]) -> list[Outputs]:
    last = max(batch, key=lambda task: task.deadline)
    inputs = {
        name: np.concatenate([task.call.inputs[name] for task in batch])
        for name in last.call.inputs
    }
    outputs = last.run(inputs)
    ends = np.cumsum([task.rows for task in batch])
    if any(array.shape[:1] != (ends[-1],) for array in outputs.values()):
        raise ServingError(StatusCode.INTERNAL, "The model's outputs do not keep the batch size")
    pieces = {name: np.split(array, ends[:-1]) for name, array in outputs.items()}
    return [{name: pieces[name][number] for name in pieces} for number in range(len(batch))]


def _alone(task: _Task, most_rows: int) -> Outputs:
    inputs = task.call.inputs
    if task.key is None or task.rows <= most_rows:
        return task.run(inputs)
    parts = [
        task.run({name: array[start : start + most_rows] for name, array in inputs.items()})
        for start in range(0, task.rows, most_rows)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in task.call.outputs}
