"""The CNN is the one that the config describes."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from trainer import cnn
from trainer.options.cnn import Cnn


def _build(size: int = 32, **section: Any) -> keras.Sequential:
    return cnn.build(size, 7, Cnn(**section))


def _kinds(model: keras.Sequential) -> list[str]:
    return [type(layer).__name__ for layer in model.layers]


def test_the_default_maps_pixels_to_logits() -> None:
    model = _build()
    assert model.input_shape == (None, 32, 32, 3)
    assert model.output_shape == (None, 7)
    assert [x.filters for x in model.layers if isinstance(x, keras.layers.Conv2D)] == [
        *(32, 32, 64, 64, 128, 128)
    ]
    logits = np.asarray(model(np.full((2, 32, 32, 3), 255.0)))
    assert logits.dtype == np.float32


def test_every_key_of_a_block_reaches_its_layers() -> None:
    model = _build(
        blocks=[
            {
                "filters": 5,
                "convolutions": 1,
                "kernel_size": 5,
                "padding": "valid",
                "activation": "elu",
                "batch_norm": False,
                "pooling": "average",
                "pool_size": 4,
                "dropout": 0.25,
            }
        ],
        flatten="none",
        dense=[{"units": 9, "activation": "tanh", "batch_norm": True, "dropout": 0.5}],
    )
    assert _kinds(model) == [
        *("Rescaling", "Conv2D", "Activation", "AveragePooling2D", "Dropout", "Flatten"),
        *("Dense", "BatchNormalization", "Activation", "Dropout", "Dense"),
    ]
    convolution = model.layers[1]
    assert (convolution.filters, convolution.kernel_size, convolution.padding) == (
        5,
        (5, 5),
        "valid",
    )
    assert model.layers[2].activation is keras.activations.elu
    assert model.layers[3].pool_size == (4, 4)
    assert model.layers[5].output.shape == (None, 7 * 7 * 5)


def test_too_small_an_image_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"images of 4 pixels are too small for block 3"):
        _build(4, blocks=[{"filters": 2}] * 4)
