"""The Python API does what the commands do, and importing it costs nothing."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import retrain
from pipeline.config import ConfigError
from serving.client import UnansweredError
from tests.conftest import LABELS, Exported
from tests.retrain.test_main import HEAVY


@pytest.fixture
def config(tmp_path: Path) -> str:
    file = tmp_path / "retrain.yaml"
    file.write_text(f"name: pets\ndata: {{root: {tmp_path}/data}}\noutput: {tmp_path}/out\n")
    return str(file)


def test_importing_it_loads_nothing_heavy() -> None:
    code = "import sys, retrain; print(*{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not HEAVY & set(done.stdout.split())


def test_every_public_name_is_there_and_described() -> None:
    assert all(getattr(retrain, name).__doc__ for name in retrain.__all__)


def test_a_config_is_read_with_overrides(config: str) -> None:
    assert retrain.load_config(config, ["trainer.epochs=3"]).trainer.epochs == 3
    with pytest.raises(ConfigError, match="did you mean trainer"):
        retrain.load_config(config, ["trianer.epochs=3"])


def test_what_is_missing_is_told_before_anything_runs(config: str, tmp_path: Path) -> None:
    settings = retrain.load_config(config)
    with pytest.raises(ConfigError, match=r"data\.root"):
        retrain.run(settings)
    with pytest.raises(ConfigError, match="no run yet"):
        retrain.runs(settings)
    with pytest.raises(UnansweredError, match="holds no version"):
        retrain.model(settings)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_pushed_model_labels_images(config: str, exported: Exported, tmp_path: Path) -> None:
    for version in ("1", "2"):
        shutil.copytree(exported.directory, tmp_path / "out" / "models" / "pets" / version)
    photo = tmp_path / "a.jpg"
    photo.write_bytes(exported.transformed.images["JPEG"])
    settings = retrain.load_config(config)
    assert retrain.model(settings, version=1).version == 1
    with pytest.raises(FileNotFoundError, match="holds no version 7"):
        retrain.model(settings, version=7)
    model = retrain.model(settings)
    assert (model.store, model.version) == (settings.model_store, 2)
    (prediction,) = model.predict([photo])
    assert prediction.label == LABELS[int(exported.probabilities["JPEG"].argmax())]
