"""What is kept of a span to compare later spans with: a sample of its images, in numbers.

It holds the images with the smallest hashes, so the order of the span does not matter, and the same
span always gives the same sample.
"""

from __future__ import annotations

import heapq
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from tfx.dsl.io import fileio

from components.span_drift import look
from trainer import images
from trainer.features import IMAGE, MEASURED

Floats = npt.NDArray[np.float32]

MOST = 500
_BATCH = 50
_READ = 64
_BUCKETS = 1 << 62


@dataclass(frozen=True)
class Sample:
    """A sample of the train images of a span.

    Attributes:
        measures: the features `MEASURED` of each sampled image, [images, features].
        looks: `look.describe` of the same images, [images, look.LENGTH].
        classes: class name -> its number of images in all of train.
    """

    measures: Floats
    looks: Floats
    classes: Mapping[str, int]

    def __len__(self) -> int:
        """Returns the number of sampled images."""
        return len(self.measures)

    def save(self, path: str) -> None:
        """Writes the sample as an npz file."""
        content = io.BytesIO()
        classes = np.frombuffer(json.dumps(dict(self.classes)).encode(), np.uint8)
        np.savez(content, measures=self.measures, looks=self.looks, classes=classes)
        with fileio.open(path, "wb") as file:
            file.write(content.getvalue())


def load(path: str) -> Sample:
    """Reads the file that `Sample.save` wrote."""
    with fileio.open(path, "rb") as file, np.load(io.BytesIO(file.read())) as found:
        classes = json.loads(found["classes"].tobytes())
        return Sample(found["measures"], found["looks"], classes)


def take(files: Sequence[str], classes: Mapping[str, int]) -> Sample:
    """Reads gzipped TFRecords of ImageExampleGen and returns a sample of at most `MOST` images.

    Memory holds that many records, however large the span is.
    """
    records = _drawn(files)
    if not records:
        none = np.zeros((0, len(MEASURED)), np.float32)
        return Sample(none, np.zeros((0, look.LENGTH), np.float32), classes)
    features = [tf.train.Example.FromString(record).features.feature for record in records]
    encoded = [one[IMAGE].bytes_list.value[0] for one in features]
    looks = [
        look.describe(
            images.load(tf.constant(encoded[start : start + _BATCH]), look.SIDE, 1.0).numpy()
        )
        for start in range(0, len(encoded), _BATCH)
    ]
    measures = [[_number(one[name]) for name in MEASURED] for one in features]
    return Sample(np.array(measures, np.float32), np.concatenate(looks), classes)


def _drawn(files: Sequence[str]) -> list[bytes]:
    """Returns the records of the `MOST` images with the smallest hashes."""
    dataset = tf.data.TFRecordDataset(sorted(files), "GZIP").batch(_READ)
    image = {IMAGE: tf.io.FixedLenFeature([], tf.string)}

    def hash_images(batch: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        encoded = tf.io.parse_example(batch, image)[IMAGE]
        return tf.strings.to_hash_bucket_fast(encoded, _BUCKETS), batch

    hashed = (
        pair
        for numbers, batch in dataset.map(hash_images).as_numpy_iterator()
        for pair in zip(numbers.tolist(), batch.tolist(), strict=True)
    )
    return [record for _, record in heapq.nsmallest(MOST, hashed)]


def _number(feature: tf.train.Feature) -> float:
    values = feature.float_list.value or feature.int64_list.value
    return float(values[0])
