"""Each mode trains, exports and serves, and what is served is what was trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import LABELS, SIZE, Record, Transformed
from tests.training import run, served
from trainer import calibration, edge, image_input, images, learning, train
from trainer.backbones import catalog

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("mode", "calibrate"),
    # On a backbone of random weights the temperature is so low that it magnifies rounding.
    [("finetune", False), ("scratch", True)],
)
def test_what_is_served_is_what_was_trained(
    transformed: Transformed,
    record: Record,
    tmp_path: Path,
    mode: str,
    calibrate: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trained: list[Any] = []
    scorer = train._scorer
    monkeypatch.setattr(
        train, "_scorer", lambda job, done, graph: trained.append(done) or scorer(job, done, graph)
    )
    model = run(transformed, tmp_path, trainer={"mode": mode, "calibrate": calibrate})
    (done,) = trained
    # The training path: tf.data's decoding, the Keras model, the temperature, softmax.
    table = image_input.ImageTable([transformed.files], tmp_path)
    batches = image_input.batches(
        table, size=SIZE, crop=transformed.recipe.crop, batch_size=4, weights=np.ones(3, np.float32)
    )
    logits = np.concatenate([done.model(pixels, training=False) for pixels, _, _ in batches])
    temperature = 1.0
    if calibrate:
        temperature = calibration.temperature(done.logits, done.labels)
    ours = tf.nn.softmax(logits / temperature).numpy()
    rows = dict(zip(table.read(np.arange(len(table))), ours, strict=True))
    expected = np.stack([rows[image] for image in transformed.images.values()])
    assert np.abs(expected[0] - expected[1:]).max() > 1e-4
    for answer in served(model, transformed, record):
        np.testing.assert_allclose(answer, expected, atol=1e-4)
    logs = tmp_path / "trainer/model_run/7"
    assert (logs / "augmented.png").stat().st_size > 100
    summary = json.loads((logs / "training.json").read_text())
    assert summary["temperature"] == pytest.approx(temperature, rel=1e-4)
    assert not list((tmp_path / "trainer/checkpoints").glob("*"))


def test_a_model_that_could_not_be_written_is_not_learnt_again(
    transformed: Transformed,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    changes = {"mode": "scratch", "epochs": 2}
    with monkeypatch.context() as patch, pytest.raises(OSError, match="disk full"):
        patch.setattr(train.export, "save", _full)
        run(transformed, tmp_path, trainer=changes)
    assert "Epoch 2/2" in capfd.readouterr().out
    assert (run(transformed, tmp_path, trainer=changes) / "saved_model.pb").exists()
    told = capfd.readouterr().out
    assert "resumes after epoch 2" in told
    assert "Epoch 2/2" not in told
    assert not list((tmp_path / "trainer/checkpoints").glob("*"))


def _full(**_: Any) -> None:
    raise OSError("disk full")


def test_what_the_tuner_found_comes_before_the_config(
    transformed: Transformed, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    found = {"values": {"learning_rate": 0.01, "epochs": 3}}
    run(transformed, tmp_path, hyperparameters=found, trainer={"mode": "head"})
    assert "Epoch 3/3" in capfd.readouterr().out


@pytest.mark.parametrize("mode", ["scratch", "finetune"])
def test_two_runs_with_one_seed_give_one_model(
    transformed: Transformed, record: Record, tmp_path: Path, mode: str
) -> None:
    changes = {"mode": mode, "epochs": 2, "augmentation": {"rotation": 20, "mixup": 0.2}}
    answers = [
        next(served(run(transformed, tmp_path / name, trainer=changes), transformed, record))
        for name in ("one", "two")
    ]
    np.testing.assert_array_equal(*answers)


@pytest.mark.parametrize("precision", ["mixed_bfloat16"])
def test_mixed_precision_serves_in_float32(
    transformed: Transformed,
    record: Record,
    tmp_path: Path,
    precision: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trained: list[Any] = []
    learn = learning.learn
    monkeypatch.setattr(
        learning, "learn", lambda *given: trained.append(learn(*given)) or trained[0]
    )
    model = run(transformed, tmp_path, trainer={"mode": "scratch", "precision": precision})
    (done,) = trained
    assert {layer.compute_dtype for layer in done.model.layers} == {"float32"}
    temperature = calibration.temperature(done.logits, done.labels)
    expected = tf.nn.softmax(done.logits / temperature).numpy()
    for answer in served(model, transformed, record):
        # What calibration was fitted on is what is served, whatever the order of the rows.
        np.testing.assert_allclose(np.sort(answer, axis=0), np.sort(expected, axis=0), atol=1e-4)


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("ResNet50", 32),
        ("VGG16", 32),
        ("InceptionV3", 75),
        ("MobileNetV3Small", 32),
        ("EfficientNetV2B0", 32),
    ],
)
def test_a_keras_application_trains_exports_and_serves(
    transformed: Transformed, record: Record, tmp_path: Path, name: str, size: int
) -> None:
    assert name in catalog.names()
    changes = {"backbone": name, "size": size}
    trainer = {"mode": "finetune", "finetune": {"epochs": 1, "batch_size": 16, "unfreeze": 0.2}}
    # The head must fit the backbone, whose embeddings Transform would have made.
    embedded = _Embedded(transformed, name, size)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(learning, "EmbeddingTable", lambda *args: embedded)
        model = run(transformed, tmp_path, trainer=trainer, **changes)
    for answer in served(model, transformed, record):
        assert answer.shape == (len(transformed.images), len(LABELS))
        np.testing.assert_allclose(answer.sum(axis=1), 1, atol=1e-5)


class _Embedded:
    """Embeddings by a backbone of the pictures; `fit_head` asks no more of a table."""

    def __init__(self, transformed: Transformed, name: str, size: int) -> None:
        import keras

        from trainer import preprocessing
        from trainer.backbones import registry

        keras.utils.set_random_seed(preprocessing.BACKBONE_SEED)
        backbone = registry.get(name).build(size, "none")
        pixels = images.load(tf.constant(list(transformed.images.values())), size, 1.0)
        self._rows = np.asarray(backbone(pixels, training=False))
        self.labels = np.arange(len(self._rows)) % len(LABELS)

    def __len__(self) -> int:
        return len(self._rows)

    def read(self, rows: Any) -> Any:
        return self._rows[rows]


@pytest.mark.parametrize("kind", ["float16", "int8"])
def test_the_edge_model_is_what_its_description_says(
    transformed: Transformed, record: Record, tmp_path: Path, kind: str
) -> None:
    model = run(transformed, tmp_path, trainer={"mode": "scratch"}, export={"tflite": kind})
    description = json.loads((model / edge.DESCRIPTION).read_text("utf-8"))
    assert description["labels"] == list(LABELS)
    content = (model / edge.FILE).read_bytes()
    (given,) = tf.lite.Interpreter(model_content=content).get_input_details()
    assert given["dtype"].__name__ == description["input"]["dtype"]
    assert given["shape"].tolist() == description["input"]["shape"] == [1, SIZE, SIZE, 3]
    pictures = tf.constant(list(transformed.images.values()))
    pixels = images.load(pictures, SIZE, description["crop"]).numpy()
    expected = next(served(model, transformed, record))
    tolerance = {"float16": 1e-2, "int8": 5e-2}[kind]
    np.testing.assert_allclose(edge.predict(content, pixels), expected, atol=tolerance)
