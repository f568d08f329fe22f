"""The head's shape is what the config asks for."""

from __future__ import annotations

import keras
import numpy as np

from trainer import head
from trainer.options.training import Trainer

OPTIONS = Trainer()
EMBEDDINGS = np.random.default_rng(0).normal(5, 3, (200, 4)).astype(np.float32)


def _build(**changes: object) -> keras.Sequential:
    return head.build(EMBEDDINGS, 7, OPTIONS.model_copy(update=changes))


def test_without_hidden_units_the_head_is_linear() -> None:
    model = _build(hidden_units=None)
    dense = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    assert [layer.units for layer in dense] == [7]
    assert model.input_shape == (None, 4)
    zero, one, two = (np.asarray(model(EMBEDDINGS[:5] * scale)) for scale in (0, 1, 2))
    np.testing.assert_allclose(two - one, one - zero, rtol=1e-3, atol=1e-4)


def test_hidden_units_make_one_hidden_layer() -> None:
    model = _build(hidden_units=11)
    dense = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    assert [layer.units for layer in dense] == [11, 7]


def test_the_output_are_logits() -> None:
    logits = np.asarray(_build()(EMBEDDINGS))
    assert logits.min() < 0
    assert np.abs(logits.sum(axis=1) - 1).max() > 0.1


def test_normalisation_brings_embeddings_to_mean_0_and_variance_1() -> None:
    normalized = np.asarray(_build().get_layer("normalize")(EMBEDDINGS))
    np.testing.assert_allclose(normalized.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(normalized.var(axis=0), 1, rtol=0.01)
    assert "normalize" not in [layer.name for layer in _build(normalize=False).layers]


def test_a_feature_that_is_constant_in_train_does_not_blow_up() -> None:
    embeddings = EMBEDDINGS.copy()
    embeddings[:, 2] = 0
    model = head.build(embeddings, 7, OPTIONS)
    normalized = np.asarray(model.get_layer("normalize")(embeddings))
    np.testing.assert_array_equal(normalized[:, 2], 0)
    # In val it may be there after all.
    embeddings[0, 2] = 1.0
    assert np.abs(np.asarray(model.get_layer("normalize")(embeddings))[:, 2]).max() <= 10.1


def test_dropout_works_in_training_only() -> None:
    model = _build(dropout=0.5)
    np.testing.assert_array_equal(model(EMBEDDINGS[:2]), model(EMBEDDINGS[:2]))
    one, two = (np.asarray(model(EMBEDDINGS[:2], training=True)) for _ in range(2))
    assert not np.array_equal(one, two)
