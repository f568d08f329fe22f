"""Embeddings of a network that was trained from pixels: what its last layer starts from."""

from __future__ import annotations

import keras


def exposed(model: keras.Model) -> keras.Model:
    """Returns a model with the same weights: images to logits and embeddings, side by side.

    Its output is float32 [batch, classes + dimension]. `model` is a CNN of `cnn.build`, or a
    backbone under a head, as `finetuning.join` returns them.
    """
    *_, before, last = model.layers
    if isinstance(last, keras.Sequential):  # the head on a backbone, in which the last layer lies
        inner = before(model.inputs[0], training=False)
        *under, last = last.layers
        for layer in under:
            inner = layer(inner)
    else:
        inner = before.output
    both = keras.layers.Concatenate(name="exposed")([last(inner), inner])
    return keras.Model(model.inputs, both)
