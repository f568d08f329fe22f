"""What a network's last layer starts from comes out beside the logits, in every mode."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from trainer import cnn, finetuning, head, penultimate
from trainer.backbones import registry
from trainer.options.cnn import Block, Cnn
from trainer.options.training import Trainer


def _cnn() -> keras.Model:
    return cnn.build(16, 3, Cnn(blocks=(Block(filters=4, convolutions=1),), dense=()))


def _tuned(hidden: int | None) -> keras.Model:
    backbone = registry.get("MobileNetV3Small").build(32, "none")
    rows = np.zeros((2, backbone.output_shape[-1]), np.float32)
    return finetuning.join(backbone, head.build(rows, 3, Trainer(hidden_units=hidden)))


@pytest.mark.parametrize(("kind", "width"), [("cnn", 4), ("tuned", 16), ("tuned", None)])
def test_the_last_layer_makes_the_logits_of_what_comes_out(kind: str, width: int | None) -> None:
    keras.utils.set_random_seed(1)
    model = _cnn() if kind == "cnn" else _tuned(width)
    pixels = np.random.default_rng(0).uniform(0, 255, (5, *model.input_shape[1:]))
    both = np.asarray(penultimate.exposed(model)(pixels.astype(np.float32), training=False))
    logits, features = both[:, :3], both[:, 3:]
    np.testing.assert_allclose(logits, model(pixels.astype(np.float32), training=False), atol=1e-4)
    if width is not None:
        assert features.shape == (5, width)
    last = model.layers[-1]
    last = last.layers[-1] if isinstance(last, keras.Sequential) else last
    np.testing.assert_allclose(last(features), logits, atol=1e-4)
