"""Measures large photographs: `python -m benchmarks.large_photos [FOLDER]`.

It takes the JPEGs of a folder, or makes up noisy ones, and prints for each step the milliseconds of
CPU time a photograph, side by side with the plain way: decode at full size, then shrink without
antialiasing, and measure at full size. The steps are those that ImageExampleGen and Transform take
before the network. The goal is 1.25 times as many photographs per second at 12 megapixels.
"""

from __future__ import annotations

import argparse
import io
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

_SUFFIXES = (".jpg", ".jpeg")
_NOISE = 25  # standard deviation in levels of 256, as at night
_LABEL = 0

Step = Callable[[bytes], Any]


def main() -> None:
    """Measures and prints the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.large_photos", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, help="of JPEGs (default: made up)")
    parser.add_argument("--images", type=int, default=8, help="at most so many (default: 8)")
    parser.add_argument("--width", type=int, default=4000, help="of made-up ones (default: 4000)")
    parser.add_argument("--size", type=int, default=224, help="of the network (default: 224)")
    parser.add_argument("--rounds", type=int, default=5, help="the best counts (default: 5)")
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow reads it when it loads
    if options.folder is None:
        photos = [_photo(options.width, seed) for seed in range(options.images)]
    else:
        files = sorted(f for f in options.folder.rglob("*") if f.suffix.lower() in _SUFFIXES)
        photos = [file.read_bytes() for file in files[: options.images]]
    if not photos:
        parser.error(f"{options.folder}: found no JPEG")

    table = Table(box=None, pad_edge=False)
    for name in ("CPU ms a photograph", "plain", "ours", "times"):
        table.add_column(name, justify="left" if name.startswith("CPU") else "right")
    totals = [0.0, 0.0]
    for name, plain, ours in _steps(options.size):
        found = _measure(photos, (plain, ours), options.rounds)
        totals = [total + one for total, one in zip(totals, found, strict=True)]
        table.add_row(name, *_cells(*found))
    table.add_row("both", *_cells(*totals))
    size = statistics.mean(map(len, photos)) / 1e6
    Console().print(f"{len(photos)} photographs of {size:.1f} MB on average")
    Console().print(table)


def _photo(width: int, seed: int) -> bytes:
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.integers(0, 256, (18, 24, 3), dtype=np.uint8))
    smooth = coarse.resize((width, width * 3 // 4), Image.Resampling.BICUBIC)
    noisy = np.asarray(smooth) + random.normal(0, _NOISE, (smooth.height, smooth.width, 1))
    buffer = io.BytesIO()
    Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=80)
    return buffer.getvalue()


def _steps(size: int) -> list[tuple[str, Step, Step]]:
    """Returns the name of each step, the plain way and ours."""
    import tensorflow as tf

    from components.image_example_gen import inspection, measures, similarity
    from components.image_example_gen.options import Rules
    from trainer import images
    from trainer.features import IMAGE, LABEL

    rules = Rules(labels=("one",))
    text = [tf.TensorSpec([], tf.string)]

    def as_record(encoded: bytes) -> bytes:
        example = tf.train.Example()
        example.features.feature[IMAGE].bytes_list.value.append(encoded)
        example.features.feature[LABEL].int64_list.value.append(_LABEL)
        record: bytes = example.SerializeToString()
        return record

    def plain_check(encoded: bytes) -> None:
        as_record(encoded)
        pixels = tf.io.decode_image(encoded, channels=3).numpy()[None]
        lumas = measures.luma(pixels)
        measures.measure(pixels, lumas, [len(encoded)])
        similarity.sketch(lumas)

    def check(encoded: bytes) -> None:
        (found,) = inspection.inspect([as_record(encoded)], rules)
        if isinstance(found, Exception):
            raise found

    @tf.function(input_signature=text, autograph=False)
    def plain_load(encoded: tf.Tensor) -> tf.Tensor:
        image = tf.io.decode_image(encoded, channels=3, expand_animations=False)
        shape = tf.shape(image)
        side = tf.reduce_min(shape[:2])
        top, left = (shape[0] - side) // 2, (shape[1] - side) // 2
        image = tf.slice(image, tf.stack([top, left, 0]), tf.stack([side, side, 3]))
        return tf.image.resize(image, (size, size), method="bicubic")

    @tf.function(input_signature=text, autograph=False)
    def load(encoded: tf.Tensor) -> tf.Tensor:
        return images.square(encoded, size, 1.0)

    return [
        ("ImageExampleGen: decode and measure", plain_check, check),
        ("Transform: decode and shrink", plain_load, load),
    ]


def _measure(photos: list[bytes], ways: tuple[Step, Step], rounds: int) -> list[float]:
    """Returns the CPU milliseconds of each way in its best round; the ways take turns."""
    best = [float("inf")] * len(ways)
    for number in range(rounds + 1):
        for index, way in enumerate(ways):
            started = time.process_time()
            for photo in photos:
                way(photo)
            spent = (time.process_time() - started) * 1000 / len(photos)
            if number:  # the first round traces the graphs
                best[index] = min(best[index], spent)
    return best


def _cells(plain: float, ours: float) -> tuple[str, str, str]:
    return f"{plain:.1f}", f"{ours:.1f}", f"{plain / ours:.2f}"


if __name__ == "__main__":
    main()
