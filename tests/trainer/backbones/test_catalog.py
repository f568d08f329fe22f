"""Tests of the catalog of backbones."""

import subprocess
import sys

import pytest

from trainer.backbones import catalog


def test_default_backbone_is_listed() -> None:
    entry = catalog.get("efficientnet_lite0")
    assert entry.name in catalog.names()
    assert entry.input_size == 224
    assert entry.weights == ("bundled", "none")


def test_names_are_unique() -> None:
    assert len(set(catalog.names())) == len(catalog.names())


def test_unknown_name_lists_the_allowed_ones() -> None:
    with pytest.raises(ValueError, match=r"'vgg99' is unknown; allowed: .*efficientnet_lite0"):
        catalog.get("vgg99")


def test_catalog_loads_no_heavy_library() -> None:
    code = (
        "import sys, trainer.backbones.catalog; "
        "sys.exit(bool({'keras', 'tensorflow', 'numpy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_model_of_keras_applications_is_listed() -> None:
    import keras  # here, as the tests above do without it

    models = {name for name in dir(keras.applications) if name[0].isupper()}
    assert {name for name in catalog.names() if name[0].isupper()} == models
