"""Tests of the registry of backbones."""

import dataclasses

import keras
import numpy as np
import pytest

from trainer.backbones import catalog, registry


def test_every_entry_of_the_catalog_can_be_had() -> None:
    for name in catalog.names():
        backbone = registry.get(name)
        assert backbone.name == name
        assert backbone.checksum("none") == "none"


def test_unknown_name_lists_the_allowed_ones() -> None:
    with pytest.raises(ValueError, match=r"'vgg99' is unknown; allowed: .*efficientnet_lite0"):
        registry.get("vgg99")


def test_backbone_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        registry.get("efficientnet_lite0").name = "x"  # type: ignore[misc]


@pytest.mark.parametrize(
    "name", ["efficientnet_lite0", "efficientnet_lite2", "MobileNetV3Small", "MobileNetV2"]
)
def test_backbone_maps_pixels_to_embeddings(name: str) -> None:
    keras.utils.set_random_seed(1)
    images = np.random.default_rng(1).uniform(0, 255, (2, 64, 64, 3)).astype("float32")
    embeddings = np.asarray(registry.get(name).build(64, "none")(images, training=False))
    assert embeddings.dtype == np.float32
    assert embeddings.ndim == 2
    assert embeddings.shape[0] == 2
    assert np.isfinite(embeddings).all()
