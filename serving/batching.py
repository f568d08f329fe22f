"""Dynamic batching: requests that wait for the same computation are computed together.

The queue of each model is bounded; what does not fit is refused as UNAVAILABLE, as TF Serving's
batch scheduler does, so that an overload is told to callers instead of piling up.
"""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from serving import signatures
from serving.errors import Code, RefusedError, invalid, refused
from serving.json_tensors import Array
from serving.loading import Servable
from serving.metrics import Metrics
from serving.signatures import Call

Outputs = dict[str, Array]


@dataclass(frozen=True)
class Parameters:
    """How to batch.

    Attributes:
        max_batch_size: rows computed at once; a larger request is computed in pieces.
        batch_timeout_micros: how long an incomplete batch waits for more; 0 takes what is there.
        max_enqueued_batches: full batches that may wait for each model.
        num_batch_threads: batches computed at the same time.
    """

    max_batch_size: int = 64
    batch_timeout_micros: int = 0
    max_enqueued_batches: int = 16
    num_batch_threads: int = 2


def parse_parameters(text: str, defaults: Parameters) -> Parameters:
    """Reads TF Serving's batching parameters: lines such as `max_batch_size { value: 128 }`.

    Keys that this server has no use for, such as pad_variable_length_inputs, are passed over.

    Raises:
        RefusedError: a value is not a positive number (the timeout may be 0).
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
    servable: Servable
    call: Call
    deadline: float
    rows: int
    key: Any
    future: Future[Outputs] = field(default_factory=Future)
    queued: float = field(default_factory=time.monotonic)


class Batcher:
    """Threads that compute what is submitted, in batches where that is possible."""

    def __init__(self, parameters: Parameters, metrics: Metrics) -> None:
        """Starts the threads."""
        self._parameters = parameters
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
        """Queues a computation.

        Args:
            servable: the model; the caller holds it until the future is done.
            call: what to compute.
            seconds: when to give up.

        Returns:
            The outputs to come; cancelling it takes it out of the queue.

        Raises:
            RefusedError: UNAVAILABLE, the model's queue is full or the server is stopping.
        """
        task = self._task(servable, call, time.monotonic() + seconds)
        room = self._parameters.max_enqueued_batches * self._parameters.max_batch_size
        # A request larger than the whole queue may come when nothing else waits.
        weight = min(task.rows, room)
        with self._changed:
            if self._stopping:
                raise RefusedError(Code.UNAVAILABLE, "The server is shutting down")
            if self._waiting[servable.model] + weight > room:
                raise RefusedError(
                    Code.UNAVAILABLE,
                    "The batch scheduling queue to which this task was submitted is full",
                )
            self._waiting[servable.model] += weight
            self._tasks.append(task)
            # All: the one woken might be waiting to fill another batch.
            self._changed.notify_all()
        return task.future

    def stop(self) -> None:
        """Computes what is queued, then ends the threads."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _task(self, servable: Servable, call: Call, deadline: float) -> _Task:
        together = signatures.batchable(servable.signatures[call.signature], call.outputs)
        count = signatures.rows(call.inputs) if together else None
        if not count:
            return _Task(servable, call, deadline, rows=1, key=None)
        shapes = tuple((name, array.shape[1:]) for name, array in sorted(call.inputs.items()))
        return _Task(
            servable, call, deadline, count, (id(servable), call.signature, call.outputs, shapes)
        )

    def _work(self) -> None:
        while True:
            batch = self._next()
            if batch is None:
                return
            live = [task for task in batch if task.future.set_running_or_notify_cancel()]
            if live:
                self._compute(live)

    def _next(self) -> list[_Task] | None:
        """Takes the oldest task and those that go with it; None when there is nothing to come."""
        with self._changed:
            while not self._tasks:
                if self._stopping:
                    return None
                self._changed.wait()
            first = self._take(0)
            batch, size = [first], first.rows
            if first.key is None:
                return batch
            end = first.queued + self._parameters.batch_timeout_micros / 1e6
            while True:
                size = self._gather(batch, size)
                left = end - time.monotonic()
                if size >= self._parameters.max_batch_size or left <= 0 or self._stopping:
                    return batch
                self._changed.wait(left)

    def _gather(self, batch: list[_Task], size: int) -> int:
        position = 0
        while position < len(self._tasks):
            task = self._tasks[position]
            if task.key == batch[0].key and size + task.rows <= self._parameters.max_batch_size:
                batch.append(self._take(position))
                size += task.rows
            else:
                position += 1
        return size

    def _take(self, position: int) -> _Task:
        task = self._tasks.pop(position)
        room = self._parameters.max_enqueued_batches * self._parameters.max_batch_size
        self._waiting[task.servable.model] -= min(task.rows, room)
        return task

    def _compute(self, batch: list[_Task]) -> None:
        now = time.monotonic()
        model = batch[0].servable.model
        for task in batch:
            self._metrics.queuing_latency.labels(model).observe((now - task.queued) * 1e6)
        self._metrics.batch_sizes.labels(model).observe(sum(task.rows for task in batch))
        if len(batch) > 1:
            try:
                answers = self._together(batch)
            except Exception:
                # One bad image must not fail the requests of others: each is computed alone.
                pass
            else:
                for task, answer in zip(batch, answers, strict=True):
                    task.future.set_result(answer)
                return
        for task in batch:
            try:
                answer = self._alone(task)
            except Exception as error:
                task.future.set_exception(refused(error))
            else:
                task.future.set_result(answer)

    def _together(self, batch: list[_Task]) -> list[Outputs]:
        first = batch[0]
        inputs = {
            name: np.concatenate([task.call.inputs[name] for task in batch])
            for name in first.call.inputs
        }
        call = Call(first.call.signature, inputs, first.call.outputs)
        outputs = first.servable.run(call, _left(max(task.deadline for task in batch)))
        ends = np.cumsum([task.rows for task in batch])
        if any(array.shape[:1] != (ends[-1],) for array in outputs.values()):
            raise RefusedError(Code.INTERNAL, "The model's outputs do not keep the batch dimension")
        pieces = {name: np.split(array, ends[:-1]) for name, array in outputs.items()}
        return [{name: pieces[name][number] for name in pieces} for number in range(len(batch))]

    def _alone(self, task: _Task) -> Outputs:
        most = self._parameters.max_batch_size
        if task.key is None or task.rows <= most:
            return task.servable.run(task.call, _left(task.deadline))
        parts = [
            task.servable.run(
                Call(
                    task.call.signature,
                    {name: array[start : start + most] for name, array in task.call.inputs.items()},
                    task.call.outputs,
                ),
                _left(task.deadline),
            )
            for start in range(0, task.rows, most)
        ]
        return {name: np.concatenate([part[name] for part in parts]) for name in task.call.outputs}


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise RefusedError(Code.DEADLINE_EXCEEDED, "Timed out waiting for its turn")
    return left
