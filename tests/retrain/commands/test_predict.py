"""`retrain predict`: from the model store or a server, as a table or JSON."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from components import model_config
from retrain.__main__ import main
from serving.options import Options
from tests.conftest import LABELS, Exported, Picture
from tests.serving.conftest import OURS, Serve, served_by

pytestmark = pytest.mark.slow


@pytest.fixture
def serve() -> Iterator[Serve]:
    yield from served_by(OURS)


@pytest.fixture
def config(exported: Exported, tmp_path: Path) -> str:
    for version in (1, 2):
        target = tmp_path / "out" / "models" / "pets" / str(version)
        shutil.copytree(exported.directory, target)
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "a.jpg").write_bytes(exported.transformed.images["JPEG"])
    (photos / "b.png").write_bytes(exported.transformed.images["PNG"])
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    file = tmp_path / "config.yaml"
    file.write_text(f"name: pets\ndata: {{root: {tmp_path}}}\noutput: {tmp_path}/out\n")
    return str(file)


def _label(exported: Exported, name: str) -> str:
    return LABELS[int(exported.probabilities[name].argmax())]


def test_a_folder_from_the_store_s_version_in_production(
    config: str, exported: Exported, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["predict", "--config", config, "--json", str(tmp_path / "photos")]
    assert main(arguments) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["model"]["version"] == 2
    assert [one["label"] for one in told["predictions"]] == [
        _label(exported, "JPEG"),
        _label(exported, "PNG"),
    ]
    for one in told["predictions"]:
        assert 0 <= one["familiarity"] <= 1
        assert one["unfamiliar"] is (one["familiarity"] < told["unfamiliar_below"])
    model_config.pin(str(tmp_path / "out" / "models" / "pets"), 1)
    assert main(arguments) == 0
    assert json.loads(capsys.readouterr().out)["model"]["version"] == 1


def test_a_server_answers_and_a_broken_image_costs_no_other_its_label(
    serve: Serve,
    config: str,
    exported: Exported,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    store = tmp_path / "out" / "models" / "pets"
    client = serve(Options(model_name="pets", model_base_path=str(store)))
    url = f"http://127.0.0.1:{client.server.port}"
    broken = tmp_path / ("wider than a terminal " * 8) / "broken.jpg"
    broken.parent.mkdir()
    broken.write_bytes(b"no image")
    images = [str(broken), str(tmp_path / "photos" / "a.jpg")]
    assert main(["predict", "--url", url, "--model-name", "pets", *images]) == 2
    told = capsys.readouterr()
    assert _label(exported, "JPEG") in told.out
    assert told.err.startswith(f"{broken}: ")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--url", "http://127.0.0.1:9/v1/models/pets", "{photo}"], 1, "no answer"),
        (["--url", "ftp://x", "{photo}"], 1, "not a server"),
        (["nothing-here.jpg", "--url", "http://127.0.0.1:9/v1/models/pets"], 2, "no such file"),
        (["nothing-here.jpg", "--config", "{config}"], 2, "no such file"),
        (["{photo}", "--config", "{config}", "--url", "http://127.0.0.1:9"], 1, "/v1/models/pets:"),
    ],
)
def test_what_cannot_be_answered_is_told_in_a_line(
    config: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    words: str,
) -> None:
    photo = str(tmp_path / "photos" / "a.jpg")
    assert (
        main(["predict", *(each.format(photo=photo, config=config) for each in arguments)]) == code
    )
    error = capsys.readouterr().err
    assert words in error
    assert len(error.splitlines()) == 1


def test_an_image_unlike_all_others_is_called_unfamiliar(
    config: str, tmp_path: Path, picture: Picture, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = tmp_path / "odd.png"
    odd.write_bytes(picture(64, 64, mode="1"))
    assert main(["predict", "--config", config, str(odd)]) == 0
    assert "unfamiliar" in capsys.readouterr().out
