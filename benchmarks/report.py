"""Measures time and memory of a large run's report: `python -m benchmarks.report`.

It makes up what 60,000 images of ten classes leave behind: 42,000 in train and 9,000 in test, with
embeddings of 1,984 numbers as EfficientNet-Lite0 makes them. A process of its own makes the page.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console

from trainer.features import EMBEDDING_PREFIX, IMAGE, LABEL

_TRAIN, _TEST, _CLASSES, _DIMENSION = 42_000, 9_000, 10, 1984
_DIFFERENT = 500  # images; the others repeat them, as only their number and size matter
_SIDE = 96
_EMBEDDING = f"{EMBEDDING_PREFIX}0123456789abcdef"
_MEBIBYTE = 2**20


def main() -> None:
    """Measures and prints one line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__)
    parser.add_argument("--make", metavar="DIR", help=argparse.SUPPRESS)
    parser.add_argument(
        "--model", metavar="DIR", help="a Trainer's model; also finds what it looked at"
    )
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if options.make:
        print(json.dumps(make(Path(options.make), options.model or "")))
        return
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder))
        command = [sys.executable, "-m", "benchmarks.report", "--make", folder]
        command += ["--model", options.model] if options.model else []
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    found = json.loads(done.stdout)
    Console().print(
        f"{_TRAIN + _TEST:,} embedded images, {found['mistakes']} mistakes with their nearest of"
        f" {found['compared']:,}: {found['seconds']:.1f} s ({found['cpu']:.1f} of CPU) after"
        f" {found['loading']:.1f} s of imports, peak {found['mebibytes']:.0f} MiB,"
        f" a page of {found['bytes'] / 1e6:.2f} MB",
        highlight=False,
    )


def make(folder: Path, model: str = "") -> dict[str, Any]:
    """Renders a page from the results in `folder`; returns seconds, peak memory and page size."""
    started = time.perf_counter()
    from components.report import gathering, rendering
    from components.report.options import Card

    loaded, cpu = time.perf_counter(), time.process_time()
    transformed, evaluation = str(folder / "transformed"), str(folder / "evaluation")
    sources = gathering.Sources(
        transformed=transformed, evaluation=evaluation, model=model, production=1
    )
    labels = [f"class {number}" for number in range(_CLASSES)]
    page = gathering.gather(sources, name="large", run="1", labels=labels, card=Card())
    text = rendering.render(page)
    return {
        "loading": loaded - started,
        "cpu": time.process_time() - cpu,
        "seconds": time.perf_counter() - loaded,
        "mebibytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / _MEBIBYTE,
        "mistakes": len(page.mistakes),
        "compared": page.compared,
        "bytes": len(text),
    }


def write(folder: Path) -> None:
    """Writes the made-up results of a run: transformed examples, predictions and a scorecard."""
    import tensorflow as tf

    from components.evaluator import predictions
    from trainer.input import digest

    random = np.random.default_rng(0)
    pictures = [
        tf.io.encode_jpeg(random.integers(0, 256, (_SIDE, _SIDE, 3), dtype=np.uint8)).numpy()
        for _ in range(_DIFFERENT)
    ]
    vectors = random.normal(size=(_DIFFERENT, _DIMENSION)).astype(np.float32)

    def example(number: int) -> tuple[bytes, bytes, int]:
        place, label = number % _DIFFERENT, number % _CLASSES
        image = pictures[place] + number.to_bytes(4, "big")  # decoders ignore what follows a JPEG
        whole = tf.train.Example()
        features = whole.features.feature
        features[IMAGE].bytes_list.value.append(image)
        features[LABEL].int64_list.value.append(label)
        features[_EMBEDDING].float_list.value.extend(vectors[place])
        return whole.SerializeToString(), image, label

    rows = []
    matrix = np.zeros((_CLASSES, _CLASSES), int)
    options = tf.io.TFRecordOptions("GZIP", compression_level=1)
    for split, count in (("train", _TRAIN), ("test", _TEST)):
        directory = folder / "transformed" / f"Split-{split}"
        directory.mkdir(parents=True)
        with tf.io.TFRecordWriter(str(directory / "transformed-0.gz"), options) as writer:
            for number in range(count):
                serialized, image, label = example(number)
                writer.write(serialized)
                if split == "test":
                    ours, theirs = random.dirichlet(np.ones(_CLASSES) * 0.1, 2).astype(np.float32)
                    matrix[label, ours.argmax()] += 1
                    fingerprint = digest(image, np.int64(label))
                    rows.append(predictions.row(fingerprint, label, ours, theirs))
    _write_evaluation(folder / "evaluation", rows, matrix)


def _write_evaluation(
    folder: Path, rows: list[dict[str, Any]], matrix: npt.NDArray[np.int64]
) -> None:
    """Writes predictions and the scorecard that belongs to them."""
    import pyarrow
    import pyarrow.parquet

    from components.evaluator import predictions, scorecard

    folder.mkdir()
    table = pyarrow.Table.from_pylist(rows, predictions.SCHEMA)
    pyarrow.parquet.write_table(table, folder / predictions.FILE_NAME)
    metrics = {"example_count": float(_TEST), "accuracy": np.trace(matrix) / _TEST}
    scores = (_TEST // _CLASSES, 0.1, 0.1, 0.1, 0.5)
    card = scorecard.Scorecard(
        blessed=True,
        failed=(),
        metrics=metrics,
        production=metrics,
        classes=tuple(scorecard.ClassScore(f"class {n}", *scores) for n in range(_CLASSES)),
        slices={},
        confusion=tuple(tuple(row) for row in matrix.tolist()),
    )
    (folder / scorecard.FILE_NAME).write_text(card.to_json(), "utf-8")


if __name__ == "__main__":
    main()
