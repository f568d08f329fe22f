"""What of the exported model tells classes apart: from images or examples to logits."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import keras
import tensorflow as tf
import tensorflow_transform as tft

from trainer import freezing, preprocessing
from trainer.features import IMAGE

_Method = TypeVar("_Method", bound=Callable[..., Any])


def graph_function(specification: tf.TensorSpec) -> Callable[[_Method], _Method]:
    """Makes graph functions of methods.

    Without AutoGraph, which would take seconds to rewrite Python that has nothing to rewrite.
    """
    return tf.function(input_signature=[specification], autograph=False)  # type: ignore[no-any-return]


class Scorer(Protocol):
    """What tells classes apart; a `tf.Module`, so that its variables are saved."""

    def images(self, image_bytes: tf.Tensor) -> tf.Tensor:
        """Scores encoded images: string [batch] to logits, float32 [batch, classes]."""

    def examples(self, examples: tf.Tensor) -> tf.Tensor:
        """Scores serialized examples as Transform writes them, or just as they come in."""


class PixelScorer(tf.Module):
    """A network that sees pixels."""

    def __init__(self, model: keras.Model, size: int, crop: float) -> None:
        """Freezes the network.

        Args:
            model: float32 [batch, size, size, 3] in [0, 255] to logits [batch, classes].
            size: side in pixels to which images are scaled.
            crop: see `images.crop_and_resize`.
        """
        super().__init__()
        score = preprocessing.embedder(freezing.freeze(model), model.output_shape[-1], size, crop)
        # A graph function, so that the signatures share one trace.
        self._score = graph_function(tf.TensorSpec([None], tf.string))(score)

    def images(self, image_bytes: tf.Tensor) -> tf.Tensor:
        """Scores encoded images."""
        return self._score(image_bytes)

    def examples(self, examples: tf.Tensor) -> tf.Tensor:
        """Scores serialized examples by their images."""
        return self._score(parse_images(examples))


class EmbeddingScorer(tf.Module):
    """The transform graph, which embeds, and a head on it."""

    def __init__(self, head: keras.Model, transform: tft.TFTransformOutput, embedding: str) -> None:
        """Puts the parts together.

        Args:
            head: float32 [batch, dimension] to logits [batch, classes].
            transform: the graph that makes embeddings.
            embedding: name under which the transform graph puts embeddings out.
        """
        super().__init__()
        # The head stays out of the attributes and its TensorFlow variables take its place: Keras
        # saves a variable of its own as a copy, which alone is restored, while the functions go on
        # to read the original. TensorFlow 2 sees through that; TF Serving, which runs the restore
        # operation of the graph, would find the original uninitialized.
        self._logits = functools.partial(head, training=False)
        self._head_variables = [variable.value for variable in head.variables]
        self._dimension = head.input_shape[-1]
        self._embed = _embedder(transform, embedding)
        self._embedding = embedding

    def images(self, image_bytes: tf.Tensor) -> tf.Tensor:
        """Scores encoded images."""
        return self._logits(self._embed(image_bytes))

    def examples(self, examples: tf.Tensor) -> tf.Tensor:
        """Scores transformed examples without embedding their images a second time.

        An example that another backbone embedded holds no embedding of ours, for its name carries
        the fingerprint of what made it. Such a batch is embedded from its image bytes, as happens
        to a production model that is compared with a candidate on a new backbone.
        """
        parsed = tf.io.parse_example(
            examples,
            {
                IMAGE: tf.io.FixedLenFeature([], tf.string),
                self._embedding: tf.io.RaggedFeature(tf.float32),
            },
        )
        rows = parsed[self._embedding]
        embedding = tf.cond(
            tf.reduce_all(rows.row_lengths() == self._dimension),
            lambda: rows.to_tensor(shape=[None, self._dimension]),
            lambda: self._embed(parsed[IMAGE]),
        )
        embedding = tf.ensure_shape(embedding, [None, self._dimension])
        return self._logits(embedding)


def _embedder(transform: tft.TFTransformOutput, embedding: str) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns the part of the transform graph that leads from image bytes to embeddings.

    It is a graph function, so that the signatures share one trace, and the layer stays out of the
    module's attributes: TensorFlow would otherwise save the layer too, in Keras's own format, which
    takes longer than all else. The graph holds constants only, so it needs nothing of the layer;
    had it a variable, saving would fail.
    """
    layer = transform.transform_features_layer()

    @graph_function(tf.TensorSpec([None], tf.string))
    def embed(image_bytes: tf.Tensor) -> tf.Tensor:
        return layer({IMAGE: tf.expand_dims(image_bytes, axis=1)})[embedding]

    return embed


def parse_images(examples: tf.Tensor) -> tf.Tensor:
    """Takes the encoded images out of serialized examples."""
    features = {IMAGE: tf.io.FixedLenFeature([], tf.string)}
    return tf.io.parse_example(examples, features)[IMAGE]
