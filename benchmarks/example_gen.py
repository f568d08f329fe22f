"""Measures how fast ImageExampleGen takes in images: `python -m benchmarks.example_gen`.

It makes up JPEGs of CIFAR-10's size, and takes in twice as many with each pass. It prints images
per second of CPU time, which is the rate of one core, and how peak memory grows. The goal is 600
images of 32x32 per second and core.
"""

from __future__ import annotations

import argparse
import io
import os
import resource
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

from trainer.features import IMAGE, LABEL

if TYPE_CHECKING:
    from components.image_example_gen.options import Rules

_LABELS = tuple(str(number) for number in range(10))
_FILES = 4


def main() -> None:
    """Measures and prints the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.example_gen", description=__doc__)
    parser.add_argument("--images", type=int, default=6000, help="of the first pass (default 6000)")
    parser.add_argument("--side", type=int, default=32, help="side in pixels (default: 32)")
    parser.add_argument("--passes", type=int, default=3, help="each twice as large (default: 3)")
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow reads it when it loads

    from components.image_example_gen.options import Rules

    rules = Rules(labels=_LABELS)
    table = Table(box=None, pad_edge=False)
    for name in ("images", "seconds", "CPU seconds", "images/s a core", "peak memory, MB"):
        table.add_column(name, justify="right")
    with tempfile.TemporaryDirectory() as name:
        # A first run, not counted, loads all modules.
        write(Path(name, "warm"), 100, options.side, seed=0)
        measure(Path(name, "warm"), rules)
        for number in range(options.passes):
            folder, images = Path(name, str(number)), options.images * 2**number
            write(folder, images, options.side, seed=number + 1)
            seconds, cpu_seconds = measure(folder, rules)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            cells = (f"{seconds:.1f}", f"{cpu_seconds:.1f}", f"{images / cpu_seconds:.0f}")
            table.add_row(str(images), *cells, f"{peak:.0f}")
    Console().print(table)


def write(folder: Path, images: int, side: int, seed: int) -> None:
    """Writes TFRecord files of random JPEGs, which compress about as well as photographs."""
    import tensorflow as tf

    random = np.random.default_rng(seed)
    folder.mkdir()
    for file in range(_FILES):
        with tf.io.TFRecordWriter(str(folder / f"{file}.tfrecord")) as writer:
            for number in range(file, images, _FILES):
                coarse = Image.fromarray(random.integers(0, 256, (8, 8, 3), dtype=np.uint8))
                buffer = io.BytesIO()
                coarse.resize((side, side), Image.Resampling.BICUBIC).save(buffer, "JPEG")
                example = tf.train.Example()
                features = example.features.feature
                features[IMAGE].bytes_list.value.append(buffer.getvalue())
                features[LABEL].int64_list.value.append(number % len(_LABELS))
                writer.write(example.SerializeToString())


def measure(folder: Path, rules: Rules) -> tuple[float, float]:
    """Ingests the TFRecord files of a folder; returns wall-clock seconds and CPU seconds."""
    import apache_beam as beam

    from components import in_process
    from components.image_example_gen.bring_in import bring_in
    from components.image_example_gen.splits import Cut

    splits = ("train", "val", "test")
    started, cpu_started = time.perf_counter(), time.process_time()
    in_process.prefer()
    with beam.Pipeline() as pipeline:
        bring_in(
            pipeline,
            patterns={"all": [f"{folder}/*.tfrecord"]},
            cut=Cut(splits, (70, 15, 15)),
            names=splits,
            rules=rules,
            span=0,
            folder=f"{folder}-out",
        )
    return time.perf_counter() - started, time.process_time() - cpu_started


if __name__ == "__main__":
    main()
