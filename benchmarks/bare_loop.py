"""Embeds the images of a span in a loop, and nothing else: `python -m benchmarks.bare_loop`.

It decodes, resizes and embeds with the function that Transform gets. What Transform takes beyond
that is the cost of Beam, TensorFlow Transform and the written examples.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import tensorflow as tf

from trainer import freezing, preprocessing
from trainer.backbones import registry
from trainer.features import IMAGE

_BATCH = 256


def batches(files: list[str]) -> tf.data.Dataset:
    """Returns batches of the encoded images in TFRecord files, prefetched: string [batch]."""

    def encoded(record: tf.Tensor) -> tf.Tensor:
        features = {IMAGE: tf.io.FixedLenFeature([], tf.string)}
        return tf.io.parse_single_example(record, features)[IMAGE]

    return tf.data.TFRecordDataset(files).map(encoded).batch(_BATCH).prefetch(tf.data.AUTOTUNE)


def main() -> None:
    """Runs the loop; prints its seconds as JSON in the last line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--span", type=Path, required=True)
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--backbone", required=True)
    parser.add_argument("--weights", required=True)
    options = parser.parse_args()
    model = registry.get(options.backbone).build(options.size, options.weights)
    dimension = model.output_shape[-1]
    embed = tf.function(
        preprocessing.embedder(freezing.freeze(model), dimension, options.size, crop=1.0),
        input_signature=[tf.TensorSpec([None], tf.string)],
        autograph=False,
    )
    data = batches(sorted(str(path) for path in options.span.glob("*/*.tfrecord")))
    for batch in data.take(1):
        embed(batch).numpy()
    started = time.perf_counter()
    for batch in data:
        embed(batch).numpy()
    seconds = time.perf_counter() - started
    print(json.dumps({"components": [{"id": "loop", "state": "done", "seconds": seconds}]}))


if __name__ == "__main__":
    main()
