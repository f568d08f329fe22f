"""Fine-tuning: backbone and head as one network, in which the top of the backbone learns too."""

from __future__ import annotations

import keras


def join(backbone: keras.Model, head: keras.Model) -> keras.Model:
    """Returns a model from images to logits: backbone, then head; both keep their weights.

    The backbone maps float32 [batch, size, size, 3] in [0, 255] to embeddings. It always runs in
    inference mode: its batch normalisation keeps the mean and variance of its own training, as
    those of small batches would undo what it learnt.
    """
    images = keras.Input(backbone.input_shape[1:], dtype="float32", name="images")
    return keras.Model(images, head(backbone(images, training=False)), name="classifier")


def copy(model: keras.Model) -> keras.Model:
    """Copies a model: the same layers and weights, in new variables."""
    copied = keras.models.clone_model(model)
    copied.set_weights(model.get_weights())
    return copied


def unfreeze(backbone: keras.Model, top: float | str) -> None:
    """Makes the top of a backbone trainable, except its batch normalisation; freezes the rest.

    Args:
        backbone: the model, whose layers may be models themselves; only `trainable` changes.
        top: share of the layers with weights that learn, in [0, 1], counted from the output; or
            the start of the name of the first layer that learns.

    Raises:
        ValueError: the backbone is a SavedModel, which cannot learn; or no layer's name starts with
            `top`, and the message lists the starts that exist.
    """
    leaves = _leaves(backbone)
    if any(isinstance(layer, keras.layers.TFSMLayer) for layer in leaves):
        raise ValueError(
            "backbone.path: a SavedModel cannot be trained; allowed: a .keras file, or trainer.mode"
            " head"
        )
    layers = [layer for layer in leaves if layer.weights]
    if isinstance(top, str):
        first = next((n for n, layer in enumerate(layers) if layer.name.startswith(top)), None)
        if first is None:
            blocks = dict.fromkeys(layer.name.partition("_")[0] for layer in layers)
            raise ValueError(
                f"trainer.finetune.unfreeze: no layer of {backbone.name} starts with {top};"
                f" allowed: a share from 0 to 1, or {', '.join(blocks)}"
            )
    else:
        first = round(len(layers) * (1 - top))
    for number, layer in enumerate(layers):
        layer.trainable = number >= first and not isinstance(layer, keras.layers.BatchNormalization)


def _leaves(layer: keras.Layer) -> list[keras.Layer]:
    if not isinstance(layer, keras.Model):
        return [layer]
    return [leaf for child in layer.layers for leaf in _leaves(child)]
