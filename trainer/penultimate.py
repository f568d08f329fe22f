"""Embeddings of a network that was trained from pixels: what its last layer starts from."""

from __future__ import annotations

import keras


def exposed(model: keras.Model) -> keras.Model:
    """Returns a model with the same weights: images to logits and embeddings, side by side.

    Its output is float32 [batch, classes + dimension]. `model` is a CNN of `cnn.build`, or a
    backbone under a head, as `finetuning.join` returns them.
    """
    *_, before, last = model.layers
    inner = before.output
    if isinstance(last, keras.Sequential):  # the head, in which the last layer lies
        *under, last = last.layers
        for layer in under:
            inner = layer(inner)
    logits = last(inner)
    inner = keras.layers.Flatten()(inner)
    return keras.Model(model.inputs, keras.layers.Concatenate()([logits, inner]))
