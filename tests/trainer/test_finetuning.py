"""The top of a backbone learns, the rest and its batch normalisation do not."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from trainer import finetuning
from trainer.backbones import registry

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def backbone() -> keras.Model:
    """A backbone, whose layers each test unfreezes itself; one trains it."""
    keras.utils.set_random_seed(1)
    return registry.get("efficientnet_lite0").build(32, "none")


def _learning(backbone: keras.Model) -> list[str]:
    return [layer.name for layer in backbone.layers if layer.trainable_weights]


def test_a_name_says_where_learning_begins(backbone: keras.Model) -> None:
    finetuning.unfreeze(backbone, "block6")
    names = _learning(backbone)
    assert names[0] == "block6a_expand_conv"
    assert names[-1] == "top_conv"
    assert not [name for name in names if "norm" in name]


def test_a_share_is_counted_from_the_top(backbone: keras.Model) -> None:
    finetuning.unfreeze(backbone, 0.0)
    assert _learning(backbone) == []
    finetuning.unfreeze(backbone, 0.1)
    few = _learning(backbone)
    finetuning.unfreeze(backbone, 1.0)
    everything = _learning(backbone)
    assert "stem_conv" in everything
    assert few == everything[-len(few) :]
    assert 0 < len(few) < 0.2 * len(everything)


def test_a_backbone_from_a_file_is_counted_by_the_layers_inside_it(tmp_path: Path) -> None:
    inner = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(4, 3, name="stem"),
            keras.layers.BatchNormalization(name="norm"),
            keras.layers.Conv2D(4, 3, name="block1"),
            keras.layers.GlobalAveragePooling2D(name="pool"),
            keras.layers.Dense(5, name="top"),
        ]
    )
    inner.save(tmp_path / "own.keras")
    backbone = registry.get("file").build(8, f"{tmp_path}/own.keras")

    def learning() -> set[str]:
        return {variable.path.rpartition("/")[0] for variable in backbone.trainable_variables}

    finetuning.unfreeze(backbone, 0.5)  # of four layers with weights
    assert learning() == {"block1", "top"}
    finetuning.unfreeze(backbone, "stem")
    assert learning() == {"stem", "block1", "top"}
    with pytest.raises(ValueError, match="stem, norm, block1, top"):
        finetuning.unfreeze(backbone, "blok")


def test_an_unknown_name_lists_the_known_ones(backbone: keras.Model) -> None:
    with pytest.raises(ValueError, match=r"starts with blok; allowed: .* stem, block1a, .* top"):
        finetuning.unfreeze(backbone, "blok")


def test_batch_normalisation_stays_in_inference_mode(backbone: keras.Model) -> None:
    head = keras.Sequential([keras.Input((1984,)), keras.layers.Dense(2)])
    finetuning.unfreeze(backbone, 1.0)
    model = finetuning.join(backbone, head)
    norms = [x for x in backbone.layers if isinstance(x, keras.layers.BatchNormalization)]
    before = [weight.numpy() for layer in norms for weight in layer.weights]
    kernel = backbone.get_layer("top_conv").kernel.numpy()
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    pixels = np.random.default_rng(0).uniform(0, 255, (4, 32, 32, 3))
    model.fit(pixels, np.array([0, 1, 0, 1]), verbose=0)
    after = [weight.numpy() for layer in norms for weight in layer.weights]
    for one, two in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, two)
    assert not np.array_equal(kernel, backbone.get_layer("top_conv").kernel.numpy())
