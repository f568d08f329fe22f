"""A frozen model computes what the model does, as one small graph of constants."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf

from tests.conftest import DIMENSION
from trainer import freezing
from trainer.backbones import registry


def _with_statistics(model: keras.Model, seed: int) -> keras.Model:
    """Gives batch normalisation moving statistics that matter: fresh ones would do nothing."""
    random = np.random.default_rng(seed)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights(
                [
                    random.uniform(0.5, 1.5, weight.shape) * (-1 if "beta" in weight.name else 1)
                    for weight in layer.weights
                ]
            )
    return model


@pytest.fixture(scope="module")
def small() -> keras.Model:
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            keras.layers.Rescaling(1 / 128, offset=-1),
            keras.layers.Conv2D(8, 3, strides=2, use_bias=False),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(6.0),
            keras.layers.DepthwiseConv2D(3, padding="same", use_bias=False),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.5),
            keras.layers.GlobalAveragePooling2D(),
        ]
    )
    return _with_statistics(model, seed=2)


@pytest.fixture(scope="module")
def backbone() -> keras.Model:
    # The bundled weights: random ones would leave the normalisation without effect.
    return registry.get("efficientnet_lite0").build(32, "bundled")


@pytest.fixture(scope="module")
def frozen_backbone(backbone: keras.Model) -> Callable[[tf.Tensor], tf.Tensor]:
    return freezing.freeze(backbone)


def _images(count: int, size: int) -> npt.NDArray[np.float32]:
    shape = (count, size, size, 3)
    return np.random.default_rng(count).uniform(0, 255, shape).astype(np.float32)


def _relative_error(found: tf.Tensor, expected: tf.Tensor) -> float:
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def _nodes(function: tf.types.experimental.ConcreteFunction) -> list[str]:
    graph = function.graph.as_graph_def()
    return [
        node.op
        for nodes in (graph.node, *(inner.node_def for inner in graph.library.function))
        for node in nodes
    ]


@pytest.mark.parametrize("count", [1, 2, 11])
def test_a_frozen_small_model_computes_what_the_model_does(small: keras.Model, count: int) -> None:
    batch = _images(count, 16)
    found = freezing.freeze(small)(tf.constant(batch))
    assert found.shape == (count, 8)
    assert _relative_error(found, small(batch, training=False)) < 1e-4


@pytest.mark.parametrize("count", [1, 11])
def test_a_frozen_backbone_computes_what_the_backbone_does(
    backbone: keras.Model, frozen_backbone: Callable[[tf.Tensor], tf.Tensor], count: int
) -> None:
    batch = _images(count, 32)
    found = frozen_backbone(tf.constant(batch))
    assert found.shape == (count, DIMENSION)
    assert _relative_error(found, backbone(batch, training=False)) < 1e-4


def test_frozen_keeps_what_the_weights_were(small: keras.Model) -> None:
    model = keras.models.clone_model(small)
    model.set_weights(small.get_weights())
    batch = _images(3, 16)
    frozen = freezing.freeze(model)
    before = frozen(tf.constant(batch))
    model.set_weights([np.zeros_like(weight) for weight in model.get_weights()])
    np.testing.assert_array_equal(frozen(tf.constant(batch)), before)


def test_a_frozen_graph_has_no_variables_and_is_much_smaller(
    backbone: keras.Model, frozen_backbone: Callable[[tf.Tensor], tf.Tensor]
) -> None:
    specification = tf.TensorSpec([None, 32, 32, 3], tf.float32)
    plain = tf.function(lambda x: backbone(x, training=False)).get_concrete_function(specification)
    frozen = tf.function(frozen_backbone).get_concrete_function(specification)

    assert plain.variables
    assert not frozen.variables
    operations = _nodes(frozen)
    assert not [op for op in operations if "Variable" in op or op == "VarHandleOp"]
    # The normalisation went into the convolutions.
    assert not [op for op in operations if op.startswith(("FusedBatchNorm", "Rsqrt"))]
    assert len(operations) < len(_nodes(plain)) / 2


def test_the_shape_of_the_result_is_known_while_tracing(small: keras.Model) -> None:
    frozen = freezing.freeze(small)
    traced = tf.function(frozen).get_concrete_function(tf.TensorSpec([None, 16, 16, 3]))
    assert traced.output_shapes.as_list() == [None, 8]
