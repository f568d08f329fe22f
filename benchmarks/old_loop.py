"""What the images cost by themselves: `python -m benchmarks.bare_loop` embeds a span and no more.

No pipeline that embeds these images with TensorFlow can be faster than this loop by much, so it
says how much of Transform's time is overhead.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import tensorflow as tf

from trainer import freezing, images, preprocessing
from trainer.backbones import registry

_BATCH = 16


def batches(files: list[str], size: int) -> tf.data.Dataset:
    """Decodes and resizes the images of TFRecord files on all cores, ahead of their use."""

    def load(record: tf.Tensor) -> tf.Tensor:
        features = {preprocessing.IMAGE: tf.io.FixedLenFeature([], tf.string)}
        encoded = tf.io.parse_single_example(record, features)[preprocessing.IMAGE]
        return images.crop_and_resize(images.decode(encoded), size, crop=1.0)

    records = tf.data.TFRecordDataset(files)
    loaded = records.map(load, num_parallel_calls=tf.data.AUTOTUNE)
    return loaded.batch(_BATCH).prefetch(tf.data.AUTOTUNE)


def main() -> None:
    """Runs the loop; the last line printed is its seconds as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--span", type=Path, required=True)
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--backbone", required=True)
    parser.add_argument("--weights", required=True)
    options = parser.parse_args()
    embed = freezing.freeze(registry.get(options.backbone).build(options.size, options.weights))
    data = batches(sorted(str(path) for path in options.span.glob("*/*.tfrecord")), options.size)
    for batch in data.take(1):
        embed(batch).numpy()
    started = time.perf_counter()
    for batch in data:
        embed(batch).numpy()
    seconds = time.perf_counter() - started
    print(json.dumps({"components": [{"id": "loop", "state": "done", "seconds": seconds}]}))


if __name__ == "__main__":
    main()
