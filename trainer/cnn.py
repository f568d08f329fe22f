"""The network that `scratch` trains: a Sequential CNN as the config describes it."""

from __future__ import annotations

import keras
import tensorflow as tf

from trainer.options.cnn import Block, Cnn, Dense

# Keras's 0.99 takes longer to forget the first steps than a short training lasts.
_MOMENTUM = 0.9


def build(image_size: int, classes: int, options: Cnn) -> keras.Sequential:
    """Builds an untrained network; seed Keras first.

    Returns:
        A model from float32 RGB [batch, image_size, image_size, 3] in [0, 255] to logits, float32
        [batch, classes].

    Raises:
        ValueError: the image is too small for the poolings or the kernels.
    """
    model = keras.Sequential(
        [
            keras.Input((image_size, image_size, 3), dtype="float32", name="images"),
            keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="scale"),
        ],
        name="cnn",
    )
    for number, block in enumerate(options.blocks, start=1):
        too_small = ValueError(
            f"trainer.cnn.blocks: images of {image_size} pixels are too small for block {number};"
            " allowed: fewer blocks, padding same, or a larger image.size"
        )
        for layer in _block(block, f"block{number}"):
            try:
                model.add(layer)
            except ValueError as error:
                raise too_small from error
            if 0 in model.output_shape:
                raise too_small
    flatten = {
        "average": keras.layers.GlobalAveragePooling2D,
        "max": keras.layers.GlobalMaxPooling2D,
        "none": keras.layers.Flatten,
    }
    model.add(flatten[options.flatten](name="flatten"))
    for number, dense in enumerate(options.dense, start=1):
        for layer in _dense(dense, f"dense{number}"):
            model.add(layer)
    # Float32 at any training precision: the loss needs the digits.
    model.add(keras.layers.Dense(classes, name="logits", dtype="float32"))
    return model


def _block(block: Block, prefix: str) -> list[keras.Layer]:
    layers: list[keras.Layer] = []
    for number in range(1, block.convolutions + 1):
        convolution = keras.layers.Conv2D(
            block.filters,
            block.kernel_size,
            padding=block.padding,
            use_bias=not block.batch_norm,
            kernel_initializer="he_normal",
            name=f"{prefix}_conv{number}",
        )
        layers += [convolution, *_activated(block, convolution.name)]
    pooling = {"max": keras.layers.MaxPooling2D, "average": keras.layers.AveragePooling2D}
    if block.pooling in pooling:
        layers.append(pooling[block.pooling](block.pool_size, name=f"{prefix}_pool"))
    return layers + _dropout(block, prefix)


def _dense(dense: Dense, prefix: str) -> list[keras.Layer]:
    layer = keras.layers.Dense(dense.units, use_bias=not dense.batch_norm, name=prefix)
    return [layer, *_activated(dense, prefix), *_dropout(dense, prefix)]


def _dropout(part: Block | Dense, prefix: str) -> list[keras.Layer]:
    return [keras.layers.Dropout(part.dropout, name=f"{prefix}_dropout")] if part.dropout else []


def _activated(part: Block | Dense, prefix: str) -> list[keras.Layer]:
    activation = keras.layers.Activation(part.activation, name=f"{prefix}_{part.activation}")
    if not part.batch_norm:
        return [activation]
    # Replicas share batch statistics; otherwise each would evaluate val with different ones.
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    norm = keras.layers.BatchNormalization(
        momentum=_MOMENTUM, synchronized=replicas > 1, name=f"{prefix}_norm"
    )
    return [norm, activation]
