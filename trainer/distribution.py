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
    """This process among the workers that train one model."""

    strategy: tf.distribute.Strategy  # the model is made in its scope
    index: int  # of this worker, from 0; worker 0 exports the model
    workers: int  # how many there are

    @property
    def several(self) -> bool:
        """Whether several replicas share each batch."""
        return bool(self.strategy.num_replicas_in_sync > 1)

    @property
    def shard(self) -> tuple[int, int]:
        """Index of the part of the training data that this worker reads, and number of parts."""
        return self.index, self.workers


class _MultiWorker(tf.distribute.MultiWorkerMirroredStrategy):
    """TensorFlow's strategy, with a `reduce` that fits the calls of Keras 3.6.

    Keras passes whole batches, which are tuples, and an axis even for scalars.
    """

    def reduce(self, reduce_op: Any, value: Any, axis: int | None = None) -> Any:
        """Reduces each value of a nested structure over the replicas."""

        def one(part: Any) -> Any:
            rank = self.experimental_local_results(part)[0].shape.rank
            return super(_MultiWorker, self).reduce(reduce_op, part, axis if rank else None)

        return tf.nest.map_structure(one, value)


@functools.lru_cache(maxsize=1)
def place() -> Place:
    """Joins the cluster that the environment variable TF_CONFIG describes, if it does.

    Otherwise the place is this machine: all its GPUs if there are several, else TensorFlow's
    default device. The first call must come before TensorFlow does anything else.
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
    """Turns off TensorFlow's own sharding, so that each worker reads all that it is given."""
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return dataset.with_options(options)


@contextlib.contextmanager
def precision(policy: str) -> Iterator[None]:
    """Sets Keras's dtype policy, such as "mixed_float16", for layers made in the `with` block."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
