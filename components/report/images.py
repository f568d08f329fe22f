"""Finds the images for the page: mistakes, their neighbours in train, quarantined images."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from google.protobuf.message import DecodeError

from components.evaluator.predictions import Predictions
from components.image_example_gen import naming, quarantine
from components.image_example_gen.quarantine import Quarantined
from components.report import attention
from components.report.gallery import Held, Mistake, Neighbour, Picture
from components.report.pictures import looked_at, thumbnail
from trainer.features import FILENAME, IMAGE, LABEL
from trainer.input import digest, embedding_name, parsed

_MISTAKES = 24
_NEIGHBOURS = 3
# Shards are shuffled, so the first ones are a random sample; reading more takes over a minute.
_COMPARED = 20_000
_HELD = 12
_LOOKED_AT = 500
_SIDE, _SMALL_SIDE = 160, 80
_EXPLAINED = 6

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True)
class _Found:
    """A test image; `vector` is its embedding scaled to length 1, empty if there is none."""

    image: bytes
    vector: Vectors


def mistakes(
    transformed: str, predictions: Predictions, labels: Sequence[str], model: str = ""
) -> tuple[tuple[Mistake, ...], int]:
    """Finds the misclassified test images with the highest scores, and their neighbours in train.

    Args:
        transformed: folder of the transformed examples.
        predictions: predictions for the test split.
        labels: class names; the index in this list is the class id.
        model: folder of the SavedModel, for what it looked at; "" to leave that out.

    Returns:
        The mistakes, the highest score first; and the number of train images that were searched
        for neighbours, 0 if there are no embeddings or no mistakes.
    """
    predicted = predictions.candidate
    wrong = np.flatnonzero(predicted.prediction != predictions.labels)
    worst = wrong[np.argsort(-predicted.score[wrong], kind="stable")][:_MISTAKES]
    if not len(worst):
        return (), 0
    embedding = embedding_name([f"{transformed}/Split-test/*"])
    images = _find({predictions.digests[row] for row in worst}, transformed, embedding)
    # The files of some images may have been deleted since the evaluation.
    worst = np.array([row for row in worst if predictions.digests[row] in images], np.int64)
    if not len(worst):
        return (), 0
    shown = [images[predictions.digests[row]] for row in worst]
    near: list[tuple[Neighbour, ...]] = [()] * len(worst)
    compared = 0
    if embedding is not None:
        near, compared = _neighbours(
            np.array([one.vector for one in shown]), transformed, embedding, labels
        )
    seen = _looked_at(
        [one.image for one in shown],
        model,
        [int(predicted.prediction[row]) for row in worst],
    )
    found = tuple(
        Mistake(
            picture=thumbnail(one.image, _SIDE),
            truth=labels[predictions.labels[row]],
            prediction=labels[predicted.prediction[row]],
            score=float(predicted.score[row]),
            truth_score=float(predicted.truth_score[row]),
            neighbours=neighbours,
            name=predictions.name(row),
            seen=looked,
            familiarity=familiarity,
        )
        for row, one, neighbours, (looked, familiarity) in zip(
            worst, shown, near, seen, strict=True
        )
    )
    return found, compared


def _looked_at(
    images: Sequence[bytes], model: str, predictions: Sequence[int]
) -> list[tuple[Picture | None, float | None]]:
    """Draws what the model looked at in the first images, and rates the familiarity of all.

    Returns None for what was not computed.
    """
    if not model:
        return [(None, None)] * len(images)
    predict = attention.load_model(model)
    found: list[Picture | None] = [None] * len(images)
    first = attention.maps(predict, images[:_EXPLAINED], predictions[:_EXPLAINED])
    for place, regions in enumerate(first):
        if regions is not None:
            found[place] = looked_at(images[place], regions, _SIDE)
    return list(zip(found, attention.familiarity(predict, images), strict=True))


def _batches(folder: str, split: str, embedding: str | None) -> Iterator[dict[str, Any]]:
    features = {} if embedding is None else {embedding: tf.io.RaggedFeature(tf.float32)}
    features[FILENAME] = tf.io.RaggedFeature(tf.string)
    yield from parsed([f"{folder}/Split-{split}/*"], features)


def _unit(rows: Any) -> Vectors:
    vectors: Vectors = rows.to_tensor().numpy()
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    np.divide(vectors, lengths, out=vectors, where=lengths > 0)
    return vectors


def _find(wanted: set[bytes], folder: str, embedding: str | None) -> dict[bytes, _Found]:
    found = {}
    nothing = np.zeros(0, np.float32)
    for batch in _batches(folder, "test", embedding):
        images = batch[IMAGE].numpy()
        names = map(digest, images, batch[LABEL].numpy())
        rows = {row: name for row, name in enumerate(names) if name in wanted}
        if rows:
            vectors = None if embedding is None else _unit(batch[embedding])
            for row, name in rows.items():
                found[name] = _Found(images[row], nothing if vectors is None else vectors[row])
    return found


def _neighbours(
    queries: Vectors, folder: str, embedding: str, labels: Sequence[str]
) -> tuple[list[tuple[Neighbour, ...]], int]:
    """Finds for each query the train images with the highest cosine similarity.

    Queries are float32 [queries, dimension], each of length 1. Also returns how many were searched.
    """
    nearest: list[list[tuple[float, int, bytes, int, str]]] = [[] for _ in queries]
    compared = 0
    for batch in _batches(folder, "train", embedding):
        cosines = queries @ _unit(batch[embedding]).T
        images, classes = batch[IMAGE].numpy(), batch[LABEL].numpy()
        names = [naming.readable(one[0]) if one else "" for one in batch[FILENAME].to_list()]
        best = np.argsort(-cosines, axis=1)[:, :_NEIGHBOURS]
        for heap, rows, values in zip(nearest, best, cosines, strict=True):
            for row in rows:
                # If cosines are equal, the earlier image wins, instead of the larger bytes.
                which = (images[row], int(classes[row]), names[row])
                heap.append((float(values[row]), -compared - row, *which))
            heap[:] = heapq.nlargest(_NEIGHBOURS, heap)
        compared += len(images)
        if compared >= _COMPARED:
            break
    return [
        tuple(
            Neighbour(thumbnail(image, _SMALL_SIDE), labels[label], cosine, name)
            for cosine, _, image, label, name in heap
        )
        for heap in nearest
    ], compared


def held(examples: str) -> tuple[Held, ...]:
    """Picks some quarantined images, about the same number for each reason."""
    files = sorted(tf.io.gfile.glob(f"{examples}/{quarantine.FOLDER}/*"))
    by_reason: dict[str, list[Quarantined]] = {}
    for record in tf.data.TFRecordDataset(files, "GZIP").take(_LOOKED_AT):
        one = Quarantined.parse(record.numpy())
        by_reason.setdefault(one.reason, []).append(one)
    share = -(-_HELD // max(1, len(by_reason)))
    chosen = [one for _, some in sorted(by_reason.items()) for one in some[:share]][:_HELD]
    return tuple(
        Held(
            thumbnail(_image(one.record), _SIDE),
            one.reason,
            one.detail,
            one.name,
        )
        for one in chosen
    )


def _image(record: bytes) -> bytes:
    """Returns the encoded image of a possibly damaged record; b"" if it has none."""
    try:
        feature = tf.train.Example.FromString(record).features.feature
    except DecodeError:
        return b""
    # A record in quarantine has its own names; its image is the longest of its values.
    named = [feature[IMAGE]] if IMAGE in feature else list(feature.values())
    values = [value for one in named for value in one.bytes_list.value]
    return bytes(max(values, key=len, default=b""))
