"""The exported model answers alike through every signature, and like the head did in training."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf
from PIL import Image, ImageOps
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import prediction_log_pb2

from tests.conftest import LABELS, Exported, Picture, Record
from tests.pipeline.data.ingest.test_transcode import bomb
from tests.trainer.test_orientation import exif, saved, scene
from trainer.features import IMAGE

WARMUP = "assets.extra/tf_serving_warmup_requests"
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def signatures(exported: Exported) -> Any:
    return tf.saved_model.load(str(exported.directory)).signatures


@pytest.fixture(scope="module")
def definitions(exported: Exported) -> Any:
    content = (exported.directory / "saved_model.pb").read_bytes()
    (graph,) = saved_model_pb2.SavedModel.FromString(content).meta_graphs
    return graph.signature_def


@pytest.fixture(scope="module")
def expected(exported: Exported) -> npt.NDArray[np.float32]:
    """What the training path says: embeddings from Transform, the head, softmax."""
    rows = np.stack(list(exported.probabilities.values()))
    # A model that says the same of every picture could not fail these tests.
    assert min(np.abs(rows[0] - row).max() for row in rows[1:]) > 0.005
    np.testing.assert_allclose(rows.sum(axis=1), 1, atol=1e-5)
    return rows


@pytest.fixture(scope="module")
def images(exported: Exported) -> list[bytes]:
    return list(exported.transformed.images.values())


def test_all_signatures_agree_with_training_on_every_kind_of_picture(
    signatures: Any,
    exported: Exported,
    images: list[bytes],
    expected: npt.NDArray[np.float32],
    record: Record,
) -> None:
    raw = tf.constant([record(image) for image in images])
    embedded = tf.constant([e.SerializeToString() for e in exported.examples.values()])
    answers = {
        "serving_default": signatures["serving_default"](image_bytes=tf.constant(images)),
        "serving_examples": signatures["serving_examples"](examples=raw),
        "serving_examples of transformed ones": signatures["serving_examples"](examples=embedded),
        "evaluation with embeddings": signatures["evaluation"](examples=embedded),
        "evaluation of bytes": signatures["evaluation"](examples=raw),
    }
    for name, answer in answers.items():
        np.testing.assert_allclose(answer["probabilities"], expected, atol=TOLERANCE, err_msg=name)
    scores = signatures["classify"](inputs=raw)["scores"]
    np.testing.assert_allclose(scores, expected, atol=TOLERANCE)


def test_one_picture_is_answered_as_it_is_among_others(
    signatures: Any, images: list[bytes], expected: npt.NDArray[np.float32]
) -> None:
    for image, row in zip(images, expected, strict=True):
        answer = signatures["serving_default"](image_bytes=tf.constant([image]))
        np.testing.assert_allclose(answer["probabilities"], row[None], atol=TOLERANCE)


def test_label_and_score_are_those_of_the_most_probable_class(
    signatures: Any, images: list[bytes], record: Record, expected: npt.NDArray[np.float32]
) -> None:
    raw = tf.constant([record(image) for image in images])
    for answer in (
        signatures["serving_default"](image_bytes=tf.constant(images)),
        signatures["serving_examples"](examples=raw),
    ):
        names = [name.decode() for name in answer["label"].numpy()]
        assert names == [LABELS[row] for row in expected.argmax(axis=1)]
        np.testing.assert_allclose(answer["score"], expected.max(axis=1), atol=TOLERANCE)


def test_familiarity_is_a_share_that_all_signatures_agree_on(
    signatures: Any, images: list[bytes], record: Record, picture: Picture
) -> None:
    raw = tf.constant([record(image) for image in images])
    known = signatures["serving_default"](image_bytes=tf.constant(images))["familiarity"].numpy()
    other = signatures["serving_examples"](examples=raw)["familiarity"].numpy()
    np.testing.assert_allclose(known, other, atol=1e-3)
    assert (known > 0).all() and (known < 1).all()
    assert len(set(known.round(3))) > 1
    # Half of the images from which it was learnt lie above their own median.
    assert 0.3 < np.median(known) < 0.7


def test_the_threshold_of_familiarity_travels_with_the_model(exported: Exported) -> None:
    told = json.loads((exported.directory / "assets.extra/familiarity.json").read_text())
    assert told == {"unfamiliar_below": 0.05}


def test_an_example_with_an_embedding_is_not_embedded_again(
    signatures: Any, exported: Exported, expected: npt.NDArray[np.float32]
) -> None:
    # Its image is replaced by another: whoever looked at the image would answer otherwise.
    examples = []
    for example in exported.examples.values():
        copy = tf.train.Example.FromString(example.SerializeToString())
        copy.features.feature[IMAGE].bytes_list.value[0] = b"not even an image"
        examples.append(copy.SerializeToString())
    answer = signatures["evaluation"](examples=tf.constant(examples))
    np.testing.assert_allclose(answer["probabilities"], expected, atol=TOLERANCE)


def test_the_embedding_of_another_backbone_is_not_mistaken_for_ours(
    signatures: Any, exported: Exported, expected: npt.NDArray[np.float32]
) -> None:
    examples = []
    for example in exported.examples.values():
        copy = tf.train.Example.FromString(example.SerializeToString())
        ours = copy.features.feature.pop(exported.transformed.recipe.embedding)
        copy.features.feature["embedding/0123456789abcdef"].CopyFrom(ours)
        examples.append(copy.SerializeToString())
    answer = signatures["evaluation"](examples=tf.constant(examples))
    np.testing.assert_allclose(answer["probabilities"], expected, atol=TOLERANCE)


def test_examples_with_and_without_an_embedding_may_come_in_one_batch(
    signatures: Any, exported: Exported, record: Record, expected: npt.NDArray[np.float32]
) -> None:
    mixed = [
        example.SerializeToString() if row % 2 else record(image)
        for row, (example, image) in enumerate(
            zip(exported.examples.values(), exported.transformed.images.values(), strict=True)
        )
    ]
    answer = signatures["evaluation"](examples=tf.constant(mixed))
    np.testing.assert_allclose(answer["probabilities"], expected, atol=TOLERANCE)


def test_classify_lists_every_class_in_label_order(
    signatures: Any, images: list[bytes], record: Record
) -> None:
    answer = signatures["classify"](inputs=tf.constant([record(image) for image in images]))
    assert answer["scores"].shape == (len(images), len(LABELS))
    classes = [[name.decode() for name in row] for row in answer["classes"].numpy()]
    assert classes == [list(LABELS)] * len(images)


@pytest.mark.parametrize(
    ("signature", "inputs", "outputs"),
    [
        (
            "serving_default",
            {"image_bytes": "string"},
            {"probabilities", "label", "score", "familiarity"},
        ),
        (
            "serving_examples",
            {"examples": "string"},
            {"probabilities", "label", "score", "familiarity"},
        ),
        ("classify", {"inputs": "string"}, {"classes", "scores"}),
        ("evaluation", {"examples": "string"}, {"probabilities", "uncalibrated"}),
    ],
)
def test_keys_types_and_shapes_are_the_contract_s(
    definitions: Any, signature: str, inputs: dict[str, str], outputs: set[str]
) -> None:
    types = {
        "probabilities": (tf.float32, [-1, len(LABELS)]),
        "uncalibrated": (tf.float32, [-1, len(LABELS)]),
        "label": (tf.string, [-1]),
        "score": (tf.float32, [-1]),
        "familiarity": (tf.float32, [-1]),
        "classes": (tf.string, [-1, len(LABELS)]),
        "scores": (tf.float32, [-1, len(LABELS)]),
    }
    definition = definitions[signature]
    found_inputs = {name: tf.as_dtype(i.dtype).name for name, i in definition.inputs.items()}
    assert found_inputs == inputs
    (given,) = definition.inputs.values()
    assert [dim.size for dim in given.tensor_shape.dim] == [-1]
    assert set(definition.outputs) == outputs
    for name, output in definition.outputs.items():
        dtype, shape = types[name]
        assert tf.as_dtype(output.dtype) == dtype
        assert not output.tensor_shape.unknown_rank
        # -1 stands for any; the number of classes may be left open, but not be another one.
        sizes = [dim.size for dim in output.tensor_shape.dim]
        assert len(sizes) == len(shape)
        assert all(size in (-1, wanted) for size, wanted in zip(sizes, shape, strict=True))


def test_classify_has_the_method_name_that_tf_serving_asks_for(definitions: Any) -> None:
    assert definitions["classify"].method_name == "tensorflow/serving/classify"
    for signature in ("serving_default", "serving_examples", "evaluation"):
        assert definitions[signature].method_name == "tensorflow/serving/predict"


def test_labels_travel_as_an_asset(exported: Exported) -> None:
    content = (exported.directory / "assets" / "labels.txt").read_text("utf-8")
    assert content == "".join(f"{label}\n" for label in LABELS)


def test_the_model_answers_after_it_was_moved(
    exported: Exported, images: list[bytes], tmp_path: Path, expected: npt.NDArray[np.float32]
) -> None:
    # The label file that was written first is gone by now, and so is the transform graph's path.
    import shutil

    moved = tmp_path / "7"
    shutil.copytree(exported.directory, moved)
    loaded = tf.saved_model.load(str(moved))
    answer = loaded.signatures["serving_default"](image_bytes=tf.constant(images[:2]))
    np.testing.assert_allclose(answer["probabilities"], expected[:2], atol=TOLERANCE)
    assert answer["label"].numpy()[0].decode() in LABELS


def test_a_damaged_image_is_an_error_and_no_prediction(signatures: Any, picture: Picture) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError):
        signatures["serving_default"](image_bytes=tf.constant([picture(), b"no image"]))


def test_every_warmup_request_is_answered(exported: Exported, signatures: Any) -> None:
    records = list(tf.data.TFRecordDataset(str(exported.directory / WARMUP)))
    assert 0 < len(records) <= 1000  # TF Serving takes no more
    asked = set()
    for serialized in records:
        log = prediction_log_pb2.PredictionLog.FromString(serialized.numpy())
        kind = log.WhichOneof("log_type")
        if kind == "predict_log":
            request = log.predict_log.request
            inputs = {name: tf.make_ndarray(value) for name, value in request.inputs.items()}
            answer = signatures[request.model_spec.signature_name](
                **{name: tf.constant(value) for name, value in inputs.items()}
            )
            (values,) = inputs.values()
            assert len(answer["label"]) == len(values) > 0
            asked.add((request.model_spec.signature_name, len(values)))
        else:
            assert kind == "classify_log"
            classify = log.classify_log.request
            examples = [e.SerializeToString() for e in classify.input.example_list.examples]
            answer = signatures[classify.model_spec.signature_name](inputs=tf.constant(examples))
            assert len(answer["scores"]) == len(examples) > 0
            asked.add((classify.model_spec.signature_name, len(examples)))
    assert asked >= {
        ("serving_default", 1),
        ("serving_default", 5),
        ("serving_examples", 1),
        ("serving_examples", 5),
        ("classify", 1),
    }


def test_the_model_answers_in_a_session_as_tf_serving_loads_it(
    exported: Exported, pictures: dict[str, bytes]
) -> None:
    # TensorFlow 2's own loader restores the object graph, TF Serving's the graph's variables.
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        meta = tf.compat.v1.saved_model.load(
            session, [tf.saved_model.SERVING], str(exported.directory)
        )
        signature = meta.signature_def["serving_default"]
        found = session.run(
            signature.outputs["probabilities"].name,
            {signature.inputs["image_bytes"].name: list(pictures.values())},
        )
    expected = np.array([exported.probabilities[name] for name in pictures])
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_the_optimizer_s_variables_stay_behind(exported: Exported) -> None:
    names = [
        name for name, _ in tf.train.list_variables(f"{exported.directory}/variables/variables")
    ]
    assert not [name for name in names if "optimizer" in name]


def test_the_model_turns_pictures_upright_itself(signatures: Any) -> None:
    turned = [saved("PNG", exif(value), scene(96, 64)) for value in range(1, 9)]
    upright = []
    for encoded in turned:
        with Image.open(io.BytesIO(encoded)) as opened:
            upright.append(saved("PNG", None, ImageOps.exif_transpose(opened)))
    serve = signatures["serving_default"]
    found, wanted = (
        serve(image_bytes=tf.constant(some))["probabilities"] for some in (turned, upright)
    )
    np.testing.assert_allclose(found, wanted, atol=TOLERANCE)


def test_a_session_as_in_tf_serving_answers_and_refuses(
    exported: Exported, images: list[bytes], expected: npt.NDArray[np.float32], picture: Picture
) -> None:
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        loaded = tf.compat.v1.saved_model.load(session, ["serve"], str(exported.directory))
        signature = loaded.signature_def["serving_default"]
        given = signature.inputs["image_bytes"].name
        answer = signature.outputs["probabilities"].name
        turned = saved("JPEG", exif(6), scene(96, 64))
        found = session.run(answer, {given: [*images, turned]})
        np.testing.assert_allclose(found[:-1], expected, atol=TOLERANCE)
        sentences = {
            "a BMP of a kind that cannot be read": picture(mode="1", kind="BMP"),
            "too many pixels: allowed are 100000000": bomb(20_000),
        }
        for sentence, refused in sentences.items():
            with pytest.raises(tf.errors.InvalidArgumentError, match=sentence):
                session.run(answer, {given: [images[0], refused]})
