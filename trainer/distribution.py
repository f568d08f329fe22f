"""On which devices and machines a training runs, and in which precision."""

from __future__ import annotations

import contextlib
import functools
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf


@dataclass(frozen=True)
class Place:
    """This process among those that train one model.

    Attributes:
        strategy: TensorFlow's, under whose scope the model is made.
        index: which of the workers this is; the first one exports.
        workers: how many there are.
    """

    strategy: tf.distribute.Strategy
    index: int
    workers: int

    @property
    def several(self) -> bool:
        """Whether several replicas share each batch."""
        return bool(self.strategy.num_replicas_in_sync > 1)

    @property
    def shard(self) -> tuple[int, int]:
        """Which part of how many of the training data this process reads."""
        return self.index, self.workers


class _MultiWorker(tf.distribute.MultiWorkerMirroredStrategy):
    """TensorFlow's, with a `reduce` that takes what Keras 3.6 gives it.

    Keras has it reduce whole batches, which are tuples, and scalars along an axis that they lack.
    """

    def reduce(self, reduce_op: Any, value: Any, axis: int | None = None) -> Any:
        """Reduces every part of a structure."""

        def one(part: Any) -> Any:
            rank = self.experimental_local_results(part)[0].shape.rank
            return super(_MultiWorker, self).reduce(reduce_op, part, axis if rank else None)

        return tf.nest.map_structure(one, value)


@functools.lru_cache(maxsize=1)
def place() -> Place:
    """Joins the cluster that the environment's TF_CONFIG describes, or stays on this machine.

    Here it takes all GPUs if there are several, and TensorFlow's one device otherwise. A cluster
    must be joined before TensorFlow does anything else.
    """
    config = json.loads(os.environ.get("TF_CONFIG") or "{}")
    cluster, task = config.get("cluster", {}), config.get("task", {})
    members = [(kind, n) for kind in ("chief", "worker") for n in range(len(cluster.get(kind, [])))]
    if len(members) > 1:
        own = members.index((task["type"], task["index"]))
        return Place(_MultiWorker(), own, len(members))
    if len(tf.config.list_logical_devices("GPU")) > 1:
        return Place(tf.distribute.MirroredStrategy(), 0, 1)
    return Place(tf.distribute.get_strategy(), 0, 1)


def unsharded(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Has every worker read a dataset as it is: it holds this worker's part already."""
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return dataset.with_options(options)


@contextlib.contextmanager
def precision(policy: str) -> Iterator[None]:
    """Has layers that are made inside compute with Keras's dtype policy of that name."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
