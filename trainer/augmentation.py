"""Augmentation: random changes of training images, so that a network sees more of them.

Evaluation and serving see images as they are.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from trainer import rand_augment
from trainer.options.augmentation import Augmentation

# From images, soft labels and a seed to changed images and soft labels.
Augment = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


def build(options: Augmentation, seed: int) -> Augment:
    """Builds the function that augments a batch in a tf.data pipeline.

    Args:
        options: kinds and strengths of the changes; decoding applies `crop`, not this function.
        seed: base seed of Keras's layers; the layer with index i gets `seed + i`.

    Returns:
        A function of images, float32 [batch, height, width, 3] in [0, 255]; soft labels, float32
        [batch, classes]; and a seed, int64 [2]. It returns changed images and soft labels; only
        MixUp and CutMix change soft labels.
    """
    layers = _layers(options, seed)

    def augment(
        images: tf.Tensor, soft_labels: tf.Tensor, batch_seed: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        shape = images.shape
        for layer in layers:
            images = layer(images, training=True)
        if options.rand_augment_layers:
            images = rand_augment.apply(
                images, options.rand_augment_layers, options.rand_augment_magnitude, batch_seed
            )
        images = tf.clip_by_value(tf.ensure_shape(images, shape), 0.0, 255.0)
        mixes = [
            functools.partial(mix, images, soft_labels, alpha, batch_seed)
            for mix, alpha in ((mixup, options.mixup), (cutmix, options.cutmix))
            if alpha
        ]
        if len(mixes) == 1:
            return mixes[0]()
        if mixes:
            chance = tf.random.stateless_uniform([], batch_seed + 5)
            images, soft_labels = tf.cond(chance < 0.5, *mixes)
        return images, soft_labels

    return augment


def _layers(options: Augmentation, seed: int) -> list[keras.Layer]:
    layers, fill, shift = keras.layers, options.fill, options.translation
    kinds: list[tuple[Any, type[keras.Layer], tuple[Any, ...]]] = [
        # A layer for each axis, as Keras tosses a single coin for both.
        (options.flip in ("horizontal", "both"), layers.RandomFlip, ("horizontal",)),
        (options.flip in ("vertical", "both"), layers.RandomFlip, ("vertical",)),
        # The config counts degrees, Keras whole turns.
        (options.rotation, layers.RandomRotation, (options.rotation / 360, fill)),
        (options.zoom, layers.RandomZoom, (options.zoom, None, fill)),
        (shift, layers.RandomTranslation, (shift, shift, fill)),
        (options.brightness, layers.RandomBrightness, (options.brightness, (0, 255))),
        (options.contrast, layers.RandomContrast, (options.contrast,)),
    ]
    wanted = [(kind, arguments) for chosen, kind, arguments in kinds if chosen]
    # Layers with the same seed would draw the same numbers: each angle would imply a zoom. Pixels
    # stay float32 at any training precision.
    return [
        kind(*arguments, seed=seed + number, dtype="float32")
        for number, (kind, arguments) in enumerate(wanted)
    ]


def mixup(
    images: tf.Tensor, soft_labels: tf.Tensor, alpha: float, seed: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Blends each image with another one of the batch, and their labels in the same proportion.

    MixUp as in Zhang et al., arXiv:1710.09412; each image draws its own proportion.

    Args:
        images: float32 [batch, height, width, 3].
        soft_labels: float32 [batch, classes].
        alpha: both parameters of the Beta distribution of the proportions; above 0.
        seed: int [2].

    Returns:
        Images and soft labels of the same shapes.
    """
    count = tf.shape(images)[0]
    blend = _beta(count, alpha, seed)
    other = _others(count, seed)
    pixels = blend[:, tf.newaxis, tf.newaxis, tf.newaxis]
    return (
        pixels * images + (1 - pixels) * tf.gather(images, other),
        blend[:, tf.newaxis] * soft_labels
        + (1 - blend[:, tf.newaxis]) * tf.gather(soft_labels, other),
    )


def cutmix(
    images: tf.Tensor, soft_labels: tf.Tensor, alpha: float, seed: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Pastes a rectangle of another image of the batch into each image; mixes labels by area.

    CutMix as in Yun et al., arXiv:1905.04899. Arguments and results are those of `mixup`;
    the Beta distribution is that of the share of the area that is kept.
    """
    count, height, width = tf.unstack(tf.shape(images)[:3])
    side = tf.sqrt(1 - _beta(count, alpha, seed))
    centre = tf.random.stateless_uniform([2, count], seed + 3)
    inside = [_between(extent, centre[axis], side) for axis, extent in enumerate((height, width))]
    cut = inside[0][:, :, tf.newaxis] & inside[1][:, tf.newaxis, :]
    kept = 1 - tf.reduce_mean(tf.cast(cut, tf.float32), axis=[1, 2])[:, tf.newaxis]
    other = _others(count, seed)
    return (
        tf.where(cut[..., tf.newaxis], tf.gather(images, other), images),
        kept * soft_labels + (1 - kept) * tf.gather(soft_labels, other),
    )


def _between(extent: tf.Tensor, centre: tf.Tensor, side: tf.Tensor) -> tf.Tensor:
    """Returns bool [batch, extent]: pixels within side / 2 of centre, both shares of extent."""
    place = (tf.range(tf.cast(extent, tf.float32)) + 0.5) / tf.cast(extent, tf.float32)
    return tf.abs(place[tf.newaxis] - centre[:, tf.newaxis]) < side[:, tf.newaxis] / 2


def _beta(count: tf.Tensor, alpha: float, seed: tf.Tensor) -> tf.Tensor:
    """Draws float32 [count] from Beta(alpha, alpha): a gamma divided by the sum of two gammas."""
    draws = tf.random.stateless_gamma([2, count], seed + 1, alpha) + 1e-6
    return draws[0] / (draws[0] + draws[1])


def _others(count: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    return tf.random.experimental.stateless_shuffle(tf.range(count), seed + 2)
