"""Every format and mode that Pillow writes gets one answer, whoever asks.

The Evaluator's path (ingest, then `serving_examples`) is held against `retrain predict` with the
model store and with a server, against REST and gRPC, and against a client that sends the file as it
is, such as README's curl.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import io
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf
from PIL import Image
from tensorflow_serving.apis import predict_pb2

from pipeline.data.ingest import part
from pipeline.data.ingest.sources import Source
from pipeline.data.ingest.transcode import RejectedError
from retrain.__main__ import main
from serving.options import Options
from tests.conftest import LABELS, Exported, Picture
from tests.serving.conftest import OURS, PATIENCE, Client, served_by
from trainer.features import IMAGE

pytestmark = pytest.mark.slow

_MODES = [
    "1",
    "L",
    "LA",
    "P",
    "PA",
    "RGB",
    "RGBA",
    "RGBX",
    "CMYK",
    "YCbCr",
    "LAB",
    "HSV",
    "I",
    "I;16",
    "F",
]
_ORIENTATION = 0x0112
# One model and batches of other sizes: kernels round differently.
_TOLERANCE = 1e-4


def _as_mode(picture: bytes, mode: str) -> Image.Image:
    image = Image.open(io.BytesIO(picture))
    if mode == "I;16":
        return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    # Pillow converts to some modes only from another one.
    for via in ("RGB", "RGBA", "L", "P"):
        with contextlib.suppress(ValueError):
            return image.convert(via).convert(mode)
    raise ValueError(mode)


def _every_format(picture: Picture) -> Iterator[tuple[str, bytes]]:
    """Yields each format in each mode that Pillow writes in it."""
    Image.init()
    for kind in sorted(Image.SAVE):
        for mode in _MODES:
            buffer = io.BytesIO()
            # Plug-ins raise anything about a mode that they do not write.
            with contextlib.suppress(Exception):
                _as_mode(picture(48, 32), mode).save(buffer, kind)
                yield f"{kind}-{mode.replace(';', '')}", buffer.getvalue()


def _every_orientation(picture: Picture) -> Iterator[tuple[str, bytes]]:
    """Yields EXIF's eight orientations in both byte orders, in what stores EXIF."""
    scene = Image.open(io.BytesIO(picture(48, 32)))
    for kind in ("JPEG", "PNG", "WEBP", "TIFF"):
        for orientation in range(1, 9):
            for endian in "<>" if kind != "TIFF" else "<":
                exif = Image.Exif()
                exif.endian = endian
                exif[_ORIENTATION] = orientation
                buffer = io.BytesIO()
                options = {"quality": 95} if kind == "JPEG" else {}
                scene.save(buffer, kind, exif=exif if kind == "TIFF" else exif.tobytes(), **options)
                order = "little" if endian == "<" else "big"
                yield f"{kind}-orientation-{orientation}-{order}", buffer.getvalue()


@dataclass(frozen=True)
class World:
    """A served model, files, and what the Evaluator's path says of each.

    Attributes:
        client: both sides of the server.
        config: path of the config whose model store holds the model.
        folder: holds the files that ingest takes.
        files: file name -> the file's bytes.
        prepared: file name -> the bytes that ingest writes.
        expected: file name -> probabilities by way of `serving_examples`.
    """

    client: Client
    config: str
    folder: Path
    files: dict[str, bytes]
    prepared: dict[str, bytes]
    expected: dict[str, npt.NDArray[np.float32]]


@pytest.fixture(scope="module")
def world(
    exported: Exported, picture: Picture, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    root = tmp_path_factory.mktemp("world")
    store = root / "out" / "models" / "pets"
    shutil.copytree(exported.directory, store / "1")
    config = root / "config.yaml"
    config.write_text(f"name: pets\ndata: {{root: {root}}}\noutput: {root}/out\n")
    (root / "files").mkdir()
    signature = tf.saved_model.load(str(exported.directory)).signatures["serving_examples"]
    files, prepared, expected = {}, {}, {}
    for stem, content in [*_every_format(picture), *_every_orientation(picture)]:
        name = f"{stem}.png"  # whatever it says: no reader goes by the name
        source = Source(name, LABELS[0], None, functools.partial(bytes, content))
        try:
            example = part.to_example(source, part.prepared(source, None), LABELS)
        except RejectedError:
            continue
        (root / "files" / name).write_bytes(content)
        files[name] = content
        (prepared[name],) = example.features.feature[IMAGE].bytes_list.value
        answer = signature(examples=tf.constant([example.SerializeToString()]))
        expected[name] = answer["probabilities"].numpy()[0]
    assert len(files) > 100, "the formats are not written any more"
    for serve in served_by(OURS):
        client = serve(Options(model_name="pets", model_base_path=str(store)))
        yield World(client, str(config), root / "files", files, prepared, expected)


def _assert_as_expected(world: World, found: dict[str, Any]) -> None:
    assert found.keys() == world.expected.keys()
    wrong = {
        name: (row, world.expected[name].tolist())
        for name, row in found.items()
        if not np.allclose(row, world.expected[name], atol=_TOLERANCE)
    }
    assert not wrong


@pytest.mark.parametrize("where", ["store", "server"])
def test_predict_answers_as_the_evaluator(
    world: World, where: str, capsys: pytest.CaptureFixture[str]
) -> None:
    url = ["--url", f"http://127.0.0.1:{world.client.server.port}"] if where == "server" else []
    assert main(["predict", "--json", "--config", world.config, *url, str(world.folder)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert not told["errors"]
    assert not told["passed_over"]
    _assert_as_expected(
        world, {Path(one["image"]).name: one["probabilities"] for one in told["predictions"]}
    )
    converted = {name for name in world.files if world.files[name] != world.prepared[name]}
    assert {Path(name).name for name in told["converted"]} == converted


def _rest(world: World, image: bytes) -> tuple[int, Any]:
    body = {"instances": [{"b64": base64.b64encode(image).decode()}]}
    answer = world.client.post("/v1/models/pets:predict", body)
    return answer.status, answer.json


def test_rest_and_grpc_answer_as_the_evaluator(world: World) -> None:
    rest, grpc = {}, {}
    for name, image in world.prepared.items():
        _, answer = _rest(world, image)
        rest[name] = answer["predictions"][0]["probabilities"]
        request = predict_pb2.PredictRequest()
        request.model_spec.name = "pets"
        request.inputs["image_bytes"].CopyFrom(tf.make_tensor_proto([image]))
        answered = world.client.predictions.Predict(request, timeout=PATIENCE)
        grpc[name] = tf.make_ndarray(answered.outputs["probabilities"])[0]
    _assert_as_expected(world, rest)
    _assert_as_expected(world, grpc)


def test_a_file_as_it_is_gets_the_evaluator_s_answer_or_a_refusal(world: World) -> None:
    wrong, refused = [], []
    for name, image in world.files.items():
        status, answer = _rest(world, image)
        if status != 200:
            assert status == 400, name
            assert "node" not in answer["error"], name
            refused.append(name)
            continue
        found = answer["predictions"][0]["probabilities"]
        if not np.allclose(found, world.expected[name], atol=_TOLERANCE):
            wrong.append(name)
    assert not wrong
    assert not [name for name in refused if name.startswith(("JPEG-RGB.", "JPEG-orientation"))]
