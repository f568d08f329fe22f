"""Compares the Keras backbone with its frozen graph, by chunk size: `python -m benchmarks.forward`.

`CHUNK` in `trainer.preprocessing` rests on this measurement. It runs the function that Transform
runs on images of noise, which cost what any images of their size do. The variants take turns and
medians are compared, so other work of the machine hits all alike.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import track
from rich.table import Table

if TYPE_CHECKING:
    import tensorflow as tf

_CHUNKS = (1, 4, 8, 16, 32, 64)
_SIDE = 32  # of the encoded images, as CIFAR-10's: decoding hardly counts


def main() -> None:
    """Measures and prints the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.forward", description=__doc__)
    parser.add_argument("--size", type=int, default=224, help="side in pixels (default: 224)")
    parser.add_argument("--images", type=int, default=64, help="in each repetition (default: 64)")
    parser.add_argument("--repetitions", type=int, default=5, help="of each (default: 5)")
    options = parser.parse_args()
    # TensorFlow reads these when it loads; `retrain run` sets the same.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

    encoded = noise(options.images)
    functions = variants(options.size)
    seconds: dict[tuple[str, int], list[float]] = {key: [] for key in functions}
    for repetition in track(range(options.repetitions + 1), "Measuring", transient=True):
        for key, function in functions.items():
            started = time.perf_counter()
            function(encoded).numpy()
            if repetition:  # the first is the warm-up
                seconds[key].append(time.perf_counter() - started)
    rates = {key: options.images / statistics.median(values) for key, values in seconds.items()}
    table = Table(box=None, pad_edge=False)
    for name in ("chunk", "Keras, images/s", "frozen, images/s", "frozen / Keras"):
        table.add_column(name, justify="right")
    for chunk in _CHUNKS:
        keras, frozen = rates["keras", chunk], rates["frozen", chunk]
        table.add_row(str(chunk), f"{keras:.1f}", f"{frozen:.1f}", f"{frozen / keras:.2f}")
    Console().print(table)


def noise(images: int) -> tf.Tensor:
    """Returns JPEGs of random pixels: string [images]."""
    import tensorflow as tf

    shape = [images, _SIDE, _SIDE, 3]
    pixels = tf.random.stateless_uniform(shape, seed=(0, 0), maxval=256, dtype=tf.int32)
    return tf.map_fn(tf.io.encode_jpeg, tf.cast(pixels, tf.uint8), fn_output_signature=tf.string)


def variants(size: int) -> dict[tuple[str, int], Callable[[tf.Tensor], tf.Tensor]]:
    """Returns functions from encoded images to embeddings, by kind of model and chunk size."""
    import tensorflow as tf

    from trainer import freezing, preprocessing
    from trainer.backbones import registry

    model = registry.get("efficientnet_lite0").build(size, "bundled")
    kinds = {"keras": lambda batch: model(batch, training=False), "frozen": freezing.freeze(model)}
    functions = {}
    for chunk in _CHUNKS:
        for kind, embed in kinds.items():
            embedder = preprocessing.embedder(embed, model.output_shape[-1], size, 1.0, chunk)
            specification = tf.TensorSpec([None], tf.string)
            functions[kind, chunk] = tf.function(embedder).get_concrete_function(specification)
    return functions


if __name__ == "__main__":
    main()
