"""`retrain predict` takes and refuses what `retrain ingest` does, however damaged a file is."""

from __future__ import annotations

import functools
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from pipeline.data.ingest import part
from pipeline.data.ingest.sources import Source
from pipeline.data.ingest.transcode import RejectedError
from retrain import labelling
from serving.client import BadImageError, Prediction
from tests import damage
from tests.conftest import LABELS, Picture
from trainer import images
from trainer.features import IMAGE

_load = tf.function(
    lambda encoded: images.load(encoded, 32, 1.0),
    input_signature=[tf.TensorSpec([None], tf.string)],
    autograph=False,
)


def _predict(contents: Sequence[bytes]) -> list[Prediction]:
    """Answers each image with what a model sees of it, and refuses what a model refuses."""
    try:
        seen = _load(tf.constant(contents)).numpy()
    except tf.errors.InvalidArgumentError as error:
        raise BadImageError(error.message) from None
    return [Prediction("", probabilities=tuple(one.ravel().tolist())) for one in seen]


def _by_ingest(encoded: bytes) -> bytes | str:
    """Returns the image that ingest writes, or why it writes none."""
    source = Source("a", LABELS[0], None, functools.partial(bytes, encoded))
    try:
        example = part.to_example(source, part.prepared(source, None), LABELS)
    except RejectedError as error:
        return str(error)
    (image,) = example.features.feature[IMAGE].bytes_list.value
    return bytes(image)


@pytest.mark.parametrize("kind", damage.KINDS)
def test_predict_judges_a_file_as_ingest_does(tmp_path: Path, picture: Picture, kind: str) -> None:
    rng = random.Random(kind)
    files = [one for whole in damage.whole(picture, kind) for one in damage.damaged(whole, rng)]
    for number, encoded in enumerate(files):
        (tmp_path / f"{number:04d}.png").write_bytes(encoded)
    labelled = labelling.label(labelling.find([str(tmp_path)]), _predict)
    assert not labelled.passed_over
    taken = {
        Path(one.image).name: one.probabilities for one in labelled.predictions if not one.error
    }
    refused = {Path(one.image).name: one.error for one in labelled.predictions if one.error}
    assert len(taken) + len(refused) == len(files)
    assert min(len(taken), len(refused)) > 20, "the damage is too little or too much"
    changed = set()
    for number, encoded in enumerate(files):
        name, found = f"{number:04d}.png", _by_ingest(encoded)
        if isinstance(found, str):
            assert refused.get(name) == found, name
            continue
        assert name in taken, (name, refused.get(name))
        (expected,) = _predict([found])
        assert np.array_equal(taken[name], expected.probabilities), name
        if found != encoded:
            changed.add(name)
    assert {Path(name).name for name in labelled.converted} == changed
