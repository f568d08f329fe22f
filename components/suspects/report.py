"""The suspects of a run: found in Transform's examples, kept as JSON beside the page."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from pydantic import TypeAdapter
from tfx.dsl.io import fileio

from components.suspects import search
from trainer.features import FILENAME, IMAGE, LABEL
from trainer.input import digest, embedding_name, parsed

FILE_NAME = "suspects.json"
SPLITS = ("train", "val", "test")
# Images of a split that are searched; their embeddings lie in memory. Shards are shuffled, so the
# first ones are a random sample.
_SEARCHED = 50_000


@dataclass(frozen=True)
class Image:
    """An image of a run.

    Attributes:
        name: its file name, or its place in the span; bytes that are no UTF-8 are surrogates.
        split: "train", "val" or "test".
        label: its class id.
        digest: fingerprint of the image, as hexadecimal; see `trainer.input.digest`.
    """

    name: str
    split: str
    label: int
    digest: str


@dataclass(frozen=True)
class Suspect:
    """An image whose label may be wrong.

    Attributes:
        image: the image.
        suggested: class id that the other images suggest.
        confidence: probability of the given label by them, in [0, 1].
    """

    image: Image
    suggested: int
    confidence: float


@dataclass(frozen=True)
class Suspects:
    """What was found.

    Attributes:
        searched: number of images.
        found: the suspects, the most suspect first.
    """

    searched: int
    found: tuple[Suspect, ...]

    def to_json(self) -> str:
        """Returns the suspects as JSON."""
        # pydantic refuses the surrogates that a file name may have.
        return json.dumps(dataclasses.asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> Suspects:
        """Reads the JSON of `to_json`."""
        return _SUSPECTS.validate_python(json.loads(text))


_SUSPECTS = TypeAdapter(Suspects)


def find(transformed: str) -> Suspects | None:
    """Searches Transform's examples; None if they hold no embeddings, as in mode scratch.

    Up to 50,000 images of each split are searched.
    """
    embedding = embedding_name([f"{transformed}/Split-train/*"])
    if embedding is None:
        return None
    found: list[Image] = []
    vectors: list[npt.NDArray[np.float32]] = []
    for split in SPLITS:
        seen = 0
        for batch, some in _read(transformed, split, embedding):
            vectors.append(batch)
            found += some
            seen += len(some)
            if seen >= _SEARCHED:
                break
    # Beam writes examples in no fixed order, and what is found must not depend on it.
    order = sorted(range(len(found)), key=lambda row: (found[row].digest, found[row].name))
    found = [found[row] for row in order]
    labels = np.array([one.label for one in found], np.int64)
    doubts = search.doubts(np.concatenate(vectors)[order], labels)
    return Suspects(
        len(found), tuple(Suspect(found[one.row], one.suggested, one.confidence) for one in doubts)
    )


def images(transformed: str) -> Iterator[Image]:
    """Yields all images of Transform's examples."""
    for split in SPLITS:
        for _, some in _read(transformed, split, None):
            yield from some


def read(folder: str) -> Suspects | None:
    """Reads the suspects beside a page; None if there are none."""
    path = os.path.join(folder, FILE_NAME)
    if not folder or not fileio.exists(path):
        return None
    with fileio.open(path, "rb") as file:
        return Suspects.from_json(file.read().decode("utf-8"))


def _read(
    folder: str, split: str, embedding: str | None
) -> Iterator[tuple[npt.NDArray[np.float32], list[Image]]]:
    features = {FILENAME: tf.io.RaggedFeature(tf.string)}
    if embedding is not None:
        features[embedding] = tf.io.RaggedFeature(tf.float32)
    for batch in parsed([f"{folder}/Split-{split}/*"], features):
        labels = batch[LABEL].numpy()
        names = [os.fsdecode(one[0]) if one else "" for one in batch[FILENAME].to_list()]
        digests = [
            digest(one, label).hex()
            for one, label in zip(batch[IMAGE].numpy(), labels, strict=True)
        ]
        found = [
            Image(name, split, int(label), one)
            for name, label, one in zip(names, labels, digests, strict=True)
        ]
        empty = np.zeros((len(found), 0), np.float32)
        yield empty if embedding is None else batch[embedding].to_tensor().numpy(), found
