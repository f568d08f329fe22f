"""What Transform does to an example.

The frozen backbone is part of the transform graph, so Beam embeds every image once, and the model
that is exported later carries the very same graph.
"""

from __future__ import annotations

import concurrent.futures
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from trainer import fingerprint, freezing, images
from trainer.backbones import registry
from trainer.features import (
    EMBEDDING_PREFIX,
    FILENAME,
    IMAGE,
    LABEL,
    MAX_PIXELS,
    MOST_PIXELS,
    TEXT,
)
from trainer.section import Section, Texts

_NO_LABEL = tf.int64.min

# Seeds random weights (`weights: none`), so that they are the same wherever they are drawn.
BACKBONE_SEED = 0

# Default side in pixels without a backbone. A CNN that starts from nothing sees enough at this
# size, and every pixel costs time.
DEFAULT_SIZE = 64

# Small batches keep a convolution's working set in the cache of a core: measured on two cores,
# see `python -m benchmarks.forward`.
CHUNK = 8


class Recipe(Section):
    """Everything that decides what Transform writes; it travels as TFX's `custom_config`."""

    size: int  # side in pixels to which images are scaled
    crop: float  # side of the central square that is kept, as a share of the shorter side
    backbone: str | None  # its name in the registry; None if nothing is embedded
    weights: str  # see `registry.Backbone.build`
    labels: Texts  # class names; the index in this list is the class id
    slices: Texts  # names of further features that pass through to the Evaluator
    fingerprint: str  # of the code and weights; see `recipe`
    max_pixels: int = MAX_PIXELS  # of an image; the model refuses a larger one

    @property
    def embedding(self) -> str:
        """Name of the feature that holds embeddings; it ends with the recipe's fingerprint.

        So a model finds its own embeddings in examples, and never reads those of another backbone.
        """
        return f"{EMBEDDING_PREFIX}{self.fingerprint}"


def recipe(
    *,
    size: int | None,
    crop: float,
    backbone: str | None,
    weights: str,
    labels: Sequence[str],
    slices: Sequence[str],
    max_pixels: int = MAX_PIXELS,
) -> Recipe:
    """Completes a recipe with the fingerprint of the image path: code, size, crop and weights.

    The limit `max_pixels` does not change an embedding and so is no part of the fingerprint. A size
    of None stands for the backbone's default, or `DEFAULT_SIZE` without a backbone.

    Raises:
        ValueError: the backbone or its weights are unknown or damaged.
        FileNotFoundError: there is no such weights file, or its package is not installed.
    """
    network = None if backbone is None else registry.get(backbone)
    if size is None:
        size = DEFAULT_SIZE if network is None else network.input_size(weights)
    checksum = network and network.checksum(weights)
    parameters = {"size": size, "crop": crop, "backbone": backbone, "weights": checksum}
    own = ("features.py", "freezing.py", "preprocessing.py", "backbones")
    return Recipe(
        size=size,
        crop=crop,
        max_pixels=max_pixels,
        backbone=backbone,
        weights=weights,
        labels=tuple(labels),
        slices=tuple(slices),
        fingerprint=fingerprint.digest((*own, *fingerprint.IMAGE_PATH), parameters),
    )


def backbone(recipe: Recipe) -> keras.Model:
    """Seeds Keras with `BACKBONE_SEED` and builds the recipe's backbone."""
    assert recipe.backbone is not None
    keras.utils.set_random_seed(BACKBONE_SEED)
    return registry.get(recipe.backbone).build(recipe.size, recipe.weights)


def embedder(
    model: Callable[[tf.Tensor], tf.Tensor],
    dimension: int,
    size: int,
    crop: float,
    chunk: int = CHUNK,
    max_pixels: int = MOST_PIXELS,
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Wraps a backbone in a function of encoded images, which it processes `chunk` at a time.

    Beam decides how many examples arrive at once (up to 1,000); processing them in chunks bounds
    the memory. Two chunks are processed at the same time, so that the decoding of one, which runs
    on a single core, overlaps with the convolutions of the other.

    `model` maps float32 [batch, size, size, 3] in [0, 255] to float32 [batch, dimension].
    `images.crop_and_resize` explains `crop`, `images.decode` explains `max_pixels`.

    Returns:
        A function from string [batch] to float32 [batch, dimension].
    """

    def embed(encoded: tf.Tensor) -> tf.Tensor:
        count = tf.size(encoded)
        chunks = (count + chunk - 1) // chunk

        def step(index: tf.Tensor, done: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
            part = encoded[index * chunk : (index + 1) * chunk]
            return index + 1, done.write(index, model(images.load(part, size, crop, max_pixels)))

        done = tf.TensorArray(
            tf.float32, size=chunks, element_shape=[None, dimension], infer_shape=False
        )
        _, done = tf.while_loop(
            lambda index, _: index < chunks, step, (0, done), parallel_iterations=2
        )
        return tf.ensure_shape(done.concat(), [None, dimension])

    return embed


@functools.lru_cache(maxsize=1)
def _embed(recipe: Recipe) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns the graph function from encoded images to embeddings.

    Transform traces `preprocessing_fn` several times before it reads the first example; the cache
    makes it build and trace the backbone only once.
    """

    def build() -> Callable[[tf.Tensor], tf.Tensor]:
        model = backbone(recipe)
        embed = embedder(
            freezing.freeze(model),
            model.output_shape[-1],
            recipe.size,
            recipe.crop,
            max_pixels=recipe.max_pixels,
        )
        traced: Callable[[tf.Tensor], tf.Tensor] = tf.function(
            embed, input_signature=[tf.TensorSpec([None], tf.string)], autograph=False
        )
        return traced

    # The caller is in the middle of a trace, and a new graph would inherit its tables. In a thread
    # of its own TensorFlow starts afresh.
    with concurrent.futures.ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(build).result()


def preprocessing_fn(
    inputs: Mapping[str, Any], custom_config: Mapping[str, Any]
) -> dict[str, tf.Tensor | tf.SparseTensor]:
    """Embeds the image and resolves the label; TFX's Transform calls this function.

    Args:
        inputs: features by name, as the curated schema declares them: `IMAGE` dense string
            [batch, 1]; everything else sparse, since a record may lack it.
        custom_config: a `Recipe` as JSON.

    Returns:
        `IMAGE` string [batch], unchanged, as fine-tuning and a production model with another
        backbone need it; `recipe.embedding` float32 [batch, dimension], if there is a backbone;
        `LABEL` int64 [batch]; `TEXT` string [batch]; and `FILENAME` and the slices, unchanged.

    Raises:
        tf.errors.InvalidArgumentError: when the graph runs, on an example without a label, with a
            label outside the list, or whose two label features disagree.
    """
    recipe = Recipe.model_validate(custom_config)
    encoded = tf.reshape(inputs[IMAGE], [-1])
    label = _label(inputs[LABEL], inputs[TEXT], recipe.labels)
    embedding = {} if recipe.backbone is None else {recipe.embedding: _embed(recipe)(encoded)}
    passed = (*(name for name in (FILENAME,) if name in inputs), *recipe.slices)
    return {
        IMAGE: encoded,
        **embedding,
        LABEL: label,
        TEXT: tf.gather(tf.constant(recipe.labels), label),
        **{name: inputs[name] for name in passed if name not in (IMAGE, LABEL, TEXT)},
    }


def _label(number: tf.SparseTensor, text: tf.SparseTensor, labels: tuple[str, ...]) -> tf.Tensor:
    """Returns class ids, int64 [batch], from the label's number, its name, or both."""
    names = _single(text, default="")
    given = _single(number, default=_NO_LABEL)
    # A comparison with every name instead of a lookup table keeps the graph free of resources, so
    # that the exported model can carry a part of it.
    matches = names[:, tf.newaxis] == tf.constant(labels)[tf.newaxis]
    known = tf.reduce_any(matches, axis=1)
    by_name = tf.where(known, tf.argmax(tf.cast(matches, tf.uint8), axis=1), _NO_LABEL)
    label = tf.where(given != _NO_LABEL, given, by_name)
    valid = (label >= 0) & (label < len(labels)) & ((names == "") | (by_name == label))
    check = tf.debugging.Assert(
        tf.reduce_all(valid),
        [
            f"{LABEL} and {TEXT} must name one class of the label list; found",
            tf.boolean_mask(given, ~valid),
            tf.boolean_mask(names, ~valid),
        ],
        summarize=5,
    )
    with tf.control_dependencies([check]):
        return tf.identity(label)


def _single(feature: tf.SparseTensor, default: tf.Tensor | str) -> tf.Tensor:
    """Returns [batch]: the only value of each row, or the default if a row has none."""
    column = tf.sparse.reset_shape(feature, [feature.dense_shape[0], 1])
    return tf.squeeze(tf.sparse.to_dense(column, default_value=default), axis=1)
