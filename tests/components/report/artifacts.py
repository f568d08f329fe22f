"""What the components of a run leave behind, on a small scale."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import tensorflow as tf

from components.evaluator import predictions, scorecard
from components.evaluator.class_scores import ClassCounts
from components.evaluator.scorecard import ClassScore, FailedThreshold, Scorecard
from components.image_example_gen import intake, quarantine
from components.image_example_gen.quarantine import Quarantined
from tests.conftest import LABELS, Record
from tests.conftest import Picture as Encode
from trainer.input import digest

IMAGES = 30


def transformed(folder: Path, encode: Encode) -> list[tuple[bytes, int]]:
    """Writes train and test; in train, image n has the embedding of test's image n turned a bit."""
    random = np.random.default_rng(1)
    vectors = random.normal(size=(IMAGES, 8)).astype(np.float32)
    images = []
    for split, shift in (("train", 0.05), ("test", 0.0)):
        (folder / f"Split-{split}").mkdir(parents=True)
        path = folder / f"Split-{split}" / "a.gz"
        with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
            for number in range(IMAGES):
                image, label = encode(20, 20, seed=number + int(shift > 0) * 100), number % 3
                features = {
                    "image/encoded": tf.train.BytesList(value=[image]),
                    "image/class/label": tf.train.Int64List(value=[label]),
                    "image/filename": tf.train.BytesList(value=[f"{split}/{number}.png".encode()]),
                    "image/brightness": tf.train.FloatList(value=[number / IMAGES]),
                    "embedding/abc": tf.train.FloatList(value=vectors[number] + shift),
                }
                example = tf.train.Example()
                for name, value in features.items():
                    kind = {"BytesList": "bytes_list", "Int64List": "int64_list"}
                    field = kind.get(type(value).__name__, "float_list")
                    getattr(example.features.feature[name], field).CopyFrom(value)
                writer.write(example.SerializeToString())
                if split == "test":
                    images.append((image, label))
    return images


def evaluation(folder: Path, images: list[tuple[bytes, int]], blessed: bool) -> Scorecard:
    random = np.random.default_rng(2)
    probabilities = random.dirichlet(np.ones(3), IMAGES).astype(np.float32)
    labels = np.array([label for _, label in images])
    matrix = np.zeros((3, 3), int)
    np.add.at(matrix, (labels, probabilities.argmax(axis=1)), 1)
    scores = ClassCounts.of_matrix(matrix.astype(float)).scores
    rows = [
        predictions.row(
            digest(image, np.int64(label)), label, one, one[::-1], f"test/{number}.png".encode()
        )
        for number, ((image, label), one) in enumerate(zip(images, probabilities, strict=True))
    ]
    folder.mkdir()
    table = pyarrow.Table.from_pylist(rows, predictions.SCHEMA)
    pyarrow.parquet.write_table(table, folder / predictions.FILE_NAME)
    found = {"example_count": float(IMAGES), "accuracy": float(np.trace(matrix) / IMAGES)}
    card = Scorecard(
        blessed=blessed,
        failed=()
        if blessed
        else (FailedThreshold("accuracy", "all", found["accuracy"], 0.99, "min"),),
        metrics=found,
        production={**found, "accuracy": 0.25},
        classes=tuple(
            ClassScore(label, 10, *(float(scores[name][n]) for name in scores), None)
            for n, label in enumerate(LABELS)
        ),
        slices={},
        confusion=tuple(tuple(row) for row in matrix.tolist()),
    )
    (folder / scorecard.FILE_NAME).write_text(card.to_json(), "utf-8")
    return card


def examples(folder: Path, encode: Encode, record: Record) -> None:
    (folder / quarantine.FOLDER).mkdir(parents=True)
    path = folder / quarantine.FOLDER / "records-0.gz"
    with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
        for content in (record(encode(10, 9), 0), b"no example", record(b"no image", 1)):
            held = Quarantined(content, "too-small", "10 by 9 pixels", "/data/a.tfrecord", 4)
            writer.write(held.serialized())
    found = intake.Intake(
        span=7,
        clean={"train": IMAGES, "test": IMAGES},
        classes={"train": dict.fromkeys(LABELS, 10), "test": dict.fromkeys(LABELS, 10)},
        quarantined={"too-small": 3},
    )
    (folder / intake.FILE_NAME).write_text(found.as_json(), "utf-8")


def logs(folder: Path) -> None:
    for child, losses in (("train", (1.0, 0.5)), ("validation", (1.1, 0.75))):
        with tf.summary.create_file_writer(str(folder / child)).as_default():
            for epoch, loss in enumerate(losses):
                tf.summary.scalar("epoch_loss", loss, epoch)
    (folder / "training.json").write_text('{"temperature": 1.5}')
