"""The scoring part of the exported model: from images or examples to logits and embeddings."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, TypeVar

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tensorflow_transform as tft

from trainer import freezing, penultimate, preprocessing
from trainer.features import IMAGE

_Method = TypeVar("_Method", bound=Callable[..., Any])


def graph_function(specification: tf.TensorSpec) -> Callable[[_Method], _Method]:
    """Returns a decorator that turns a method of one tensor into a graph function.

    AutoGraph stays off: it would take seconds and find nothing to rewrite.
    """
    return tf.function(input_signature=[specification], autograph=False)  # type: ignore[no-any-return]


class Scorer(Protocol):
    """Turns images into logits and embeddings.

    An embedding is what the classifier's last trained part starts from, if that is a head, and what
    its last layer starts from otherwise. A scorer is a `tf.Module`, so that its variables are
    saved.
    """

    def images(self, image_bytes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Scores encoded images, string [batch].

        Returns logits, float32 [batch, classes], and embeddings, float32 [batch, dimension].
        """

    def examples(self, examples: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Scores serialized examples, transformed or raw: string [batch] to the same."""


class PixelScorer(tf.Module):
    """A scorer whose network takes pixels."""

    def __init__(self, model: keras.Model, size: int, crop: float, max_pixels: int) -> None:
        """Freezes the network: float32 [batch, size, size, 3] in [0, 255] to logits."""
        super().__init__()
        both = penultimate.exposed(model)
        score = preprocessing.embedder(
            freezing.freeze(both), both.output_shape[-1], size, crop, max_pixels=max_pixels
        )
        # A graph function, so that the signatures share one trace.
        self._score = graph_function(tf.TensorSpec([None], tf.string))(score)
        self._classes = model.output_shape[-1]

    def images(self, image_bytes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Scores encoded images."""
        both = self._score(image_bytes)
        return both[:, : self._classes], both[:, self._classes :]

    def examples(self, examples: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Scores serialized examples by their images."""
        return self.images(parse_images(examples))


class EmbeddingScorer(tf.Module):
    """A scorer of two parts: the transform graph, which embeds images, and a head."""

    def __init__(self, head: keras.Model, transform: tft.TFTransformOutput, embedding: str) -> None:
        """Applies the head to the feature named `embedding` that the transform graph returns."""
        super().__init__()
        # The head's TensorFlow variables become an attribute, the head itself does not. Keras would
        # save its variables as copies, and only the copies would be restored, while the functions
        # read the originals. TensorFlow 2 copes with that; TF Serving, which runs the restore
        # operation of the graph, would find the originals uninitialized.
        self._logits = functools.partial(head, training=False)
        self._head_variables = [variable.value for variable in head.variables]
        self._dimension = head.input_shape[-1]
        self._embed = _embedder(transform, embedding)
        self._embedding = embedding

    def images(self, image_bytes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Scores encoded images."""
        embedding = self._embed(image_bytes)
        return self._logits(embedding), embedding

    def examples(self, examples: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Scores transformed examples without embedding their images a second time.

        An example that another backbone embedded lacks this model's embedding, as the feature's
        name contains the recipe's fingerprint. A batch with such an example is embedded from its
        image bytes. This happens if a production model and a candidate have different backbones.
        """
        image, embedding = tf.io.FixedLenFeature([], tf.string), tf.io.RaggedFeature(tf.float32)
        parsed = tf.io.parse_example(examples, {IMAGE: image, self._embedding: embedding})
        rows = parsed[self._embedding]
        embedding = tf.cond(
            tf.reduce_all(rows.row_lengths() == self._dimension),
            lambda: rows.to_tensor(shape=[None, self._dimension]),
            lambda: self._embed(parsed[IMAGE]),
        )
        embedding = tf.ensure_shape(embedding, [None, self._dimension])
        return self._logits(embedding), embedding


def _embedder(transform: tft.TFTransformOutput, embedding: str) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns the part of the transform graph that leads from image bytes to embeddings.

    It is a graph function, so that the signatures share one trace. The layer stays out of the
    module's attributes, as TensorFlow would save it a second time in Keras's own format, which
    takes longer than everything else. The graph holds constants only and so needs nothing of the
    layer; with a variable in it, saving would fail.
    """
    layer = transform.transform_features_layer()

    @graph_function(tf.TensorSpec([None], tf.string))
    def embed(image_bytes: tf.Tensor) -> tf.Tensor:
        return layer({IMAGE: tf.expand_dims(image_bytes, axis=1)})[embedding]

    return embed


def parse_images(examples: tf.Tensor) -> tf.Tensor:
    """Returns the encoded images of serialized examples, both string [batch]."""
    features = {IMAGE: tf.io.FixedLenFeature([], tf.string)}
    return tf.io.parse_example(examples, features)[IMAGE]


def embeddings(
    scorer: Scorer,
    examples: Iterable[tuple[Sequence[bytes], Sequence[bytes], npt.NDArray[np.int64]]],
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Returns embeddings, float32 [rows, dimension], and class ids, int64 [rows], of examples.

    `examples` are batches as `input.sample_examples` yields them. The rows are sorted by
    fingerprint, as Beam writes examples in no fixed order.
    """
    score = graph_function(tf.TensorSpec([None], tf.string))(scorer.examples)
    digests: list[bytes] = []
    rows, labels = [], []
    for found, serialized, classes in examples:
        digests += found
        rows.append(score(tf.constant(serialized))[1].numpy())
        labels.append(classes)
    order = np.argsort(np.array(digests), kind="stable")
    return np.concatenate(rows)[order], np.concatenate(labels)[order]
