"""What the README says to paste works as pasted, against the exported model."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import tensorflow as tf
from PIL import Image

from serving.options import Options
from tests.conftest import LABELS, Exported, Picture
from tests.serving.conftest import SERVERS, Client, served_by

pytestmark = pytest.mark.slow

README = Path(__file__).resolve().parents[2] / "README.md"
_PORT = "localhost:8501"


@pytest.fixture(scope="module", params=SERVERS)
def pets(
    request: pytest.FixtureRequest, exported: Exported, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Client]:
    store = tmp_path_factory.mktemp("readme") / "pets"
    shutil.copytree(exported.directory, store / "1")
    for serve in served_by(request.param):
        yield serve(Options(model_name="pets", model_base_path=str(store)))


@pytest.fixture(autouse=True)
def _photo(exported: Exported, tmp_path: Path) -> None:
    (tmp_path / "PHOTO.jpg").write_bytes(exported.transformed.images["JPEG"])


def _pasted(language: str, word: str, client: Client) -> str:
    blocks = re.findall(rf"```{language}\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    (block,) = (block for block in blocks if word in block)
    assert _PORT in block
    return block.replace(_PORT, f"127.0.0.1:{client.server.port}")


def test_the_curl_line(pets: Client, tmp_path: Path, exported: Exported) -> None:
    line = _pasted("sh", "curl", pets)
    assert len(line.splitlines()) == 1
    done = subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, check=True)
    (prediction,) = json.loads(done.stdout)["predictions"]
    best = exported.probabilities["JPEG"].argmax()
    assert prediction["label"] == LABELS[best]
    assert prediction["probabilities"] == pytest.approx(
        exported.probabilities["JPEG"].tolist(), abs=1e-4
    )


def test_the_curl_line_on_a_photo_that_a_phone_stored_sideways(
    pets: Client, tmp_path: Path, picture: Picture
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    photo = picture(64, 48, kind="JPEG", seed=11, quality=95, exif=exif)
    # A quarter turn to the right, as a viewer shows it.
    upright = tf.io.encode_png(tf.image.rot90(tf.io.decode_jpeg(photo), k=3)).numpy()
    (tmp_path / "PHOTO.jpg").write_bytes(photo)
    line = _pasted("sh", "curl", pets)
    done = subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, check=True)
    (prediction,) = json.loads(done.stdout)["predictions"]
    body = {"instances": [{"b64": base64.b64encode(upright).decode()}]}
    (expected,) = pets.post("/v1/models/pets:predict", body).json["predictions"]
    assert prediction["probabilities"] == pytest.approx(expected["probabilities"], abs=1e-4)


def test_the_six_lines_of_python(pets: Client, tmp_path: Path, exported: Exported) -> None:
    lines = _pasted("python", "urllib", pets)
    assert len([line for line in lines.splitlines() if line]) == 6
    done = subprocess.run(
        [sys.executable, "-c", lines], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(LABELS[exported.probabilities["JPEG"].argmax()])
