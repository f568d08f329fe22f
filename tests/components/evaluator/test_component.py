"""The Evaluator as TFX runs it: real artifacts, real TFMA, models whose answers are known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf
from sklearn.metrics import precision_recall_fscore_support
from tfx.types import channel_utils, standard_artifacts
from tfx.utils import path_utils

from components.evaluator import predictions, scorecard
from components.evaluator.catalogue import METRICS
from components.evaluator.component import Evaluator, Executor
from components.evaluator.options import Evaluation
from components.evaluator.predictions import Predictions
from components.evaluator.scorecard import Scorecard
from tests.components.evaluator.test_catalogue import EXPECTED
from tests.conftest import LABELS as KNOWN
from trainer.input import digest

pytestmark = pytest.mark.slow

# One class more than there are examples of; it is never predicted either.
LABELS = (*KNOWN, "never there")
CLASSES = len(LABELS)
COUNT = 90


class Told(tf.Module):
    """A model that answers with the probabilities that an example holds under its name."""

    def __init__(self, feature: str, classes: int) -> None:
        """Names the feature, and how many of its classes the model knows."""
        super().__init__()
        self._feature = feature
        self._classes = classes

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def evaluate(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        features = {self._feature: tf.io.FixedLenFeature([CLASSES], tf.float32)}
        told = tf.io.parse_example(examples, features)[self._feature]
        return {"probabilities": told[:, : self._classes]}


@dataclass(frozen=True)
class Judged:
    """What came of an evaluation; `files` are those in the blessing's folder."""

    card: Scorecard
    blessed: bool
    files: frozenset[str]
    predictions: Predictions | None


@dataclass(frozen=True)
class Data:
    """Test data: labels, slice values and what the candidate and the better model say."""

    labels: npt.NDArray[np.int64]
    sources: tuple[str, ...]
    candidate: npt.NDArray[np.float32]
    better: npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def data() -> Data:
    random = np.random.default_rng(3)
    labels = random.integers(0, CLASSES - 1, COUNT)

    def probabilities(sureness: float) -> npt.NDArray[np.float32]:
        logits = random.normal(size=(COUNT, CLASSES)) + sureness * np.eye(CLASSES)[labels]
        logits[:, -1] = -4
        exponentials = np.exp(logits)
        return (exponentials / exponentials.sum(axis=1, keepdims=True)).astype(np.float32)

    candidate, better = probabilities(1.0), probabilities(3.0)
    sources = tuple("large" if row % 5 else "small" for row in range(COUNT))
    return Data(labels, sources, candidate, better)


Judge = Callable[..., Judged]


@pytest.fixture(scope="module")
def judge(data: Data, tmp_path_factory: pytest.TempPathFactory) -> Judge:
    """Runs the executor on a candidate and perhaps a production model."""
    folder = tmp_path_factory.mktemp("evaluator")
    examples = standard_artifacts.Examples()
    examples.uri = str(folder / "examples")
    examples.split_names = '["test"]'
    examples.set_string_custom_property("file_format", "tfrecords_gzip")
    examples.set_string_custom_property("payload_format", "FORMAT_TF_EXAMPLE")
    (folder / "examples" / "Split-test").mkdir(parents=True)
    with tf.io.TFRecordWriter(f"{examples.uri}/Split-test/a-00000-of-00001.gz", "GZIP") as writer:
        for row in range(COUNT):
            writer.write(_example(data, row))

    def run(
        candidate: str,
        production: str | None,
        section: dict[str, Any],
        production_classes: int = CLASSES,
        **options: Any,
    ) -> Judged:
        given = {"slices": ["image/source"], "thresholds": section, "untested": "tell", **options}
        config = Evaluation.model_validate(given)
        model, baseline = _model(folder, candidate), _model(folder, production, production_classes)
        node = Evaluator(
            examples=channel_utils.as_channel([examples]),
            model=channel_utils.as_channel([model]),
            baseline_model=channel_utils.as_channel([baseline]),
            labels=LABELS,
            evaluation=config,
        )
        output = tmp_path_factory.mktemp("output")
        found, blessing = standard_artifacts.ModelEvaluation(), standard_artifacts.ModelBlessing()
        found.uri, blessing.uri = str(output / "evaluation"), str(output / "blessing")
        properties = {
            key: value for key, value in node.exec_properties.items() if value is not None
        }
        Executor().Do(
            {"examples": [examples], "model": [model], "baseline_model": [baseline]},
            {"evaluation": [found], "blessing": [blessing]},
            properties,
        )
        text = Path(found.uri, scorecard.FILE_NAME).read_text("utf-8")
        return Judged(
            Scorecard.from_json(text),
            bool(blessing.get_int_custom_property("blessed")),
            frozenset(child.name for child in Path(blessing.uri).iterdir()),
            predictions.read(found.uri),
        )

    return run


def _example(data: Data, row: int) -> bytes:
    def floats(values: Sequence[float]) -> tf.train.Feature:
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))

    def text(value: str) -> tf.train.Feature:
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value.encode()]))

    label = int(data.labels[row])
    features = {
        "image/class/label": tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
        "image/class/text": text(LABELS[label]),
        "image/encoded": text(f"image {row}"),
        "image/source": text(data.sources[row]),
        "candidate": floats(data.candidate[row]),
        "better": floats(data.better[row]),
        "constant": floats(np.eye(CLASSES)[0]),
        "absent": floats(np.eye(CLASSES)[-1]),
    }
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def _model(folder: Path, feature: str | None, classes: int = CLASSES) -> standard_artifacts.Model:
    """A model artifact; an empty one of version 0 if there is no feature."""
    model = standard_artifacts.Model()
    model.uri = str(folder / f"model-{feature}-{classes}")
    model.set_int_custom_property("version", 0 if feature is None else 17)
    if feature is not None:
        told = Told(feature, classes)
        directory = path_utils.serving_model_dir(model.uri)
        tf.saved_model.save(told, directory, signatures={"evaluation": told.evaluate})
    return model


def _expected(name: str, data: Data, probabilities: npt.NDArray[np.float32]) -> float:
    return EXPECTED[name](probabilities, data.labels)


@pytest.fixture(scope="module")
def first(judge: Judge) -> Judged:
    """The candidate, before there is a production model, with bounds that it meets."""
    return judge(
        "candidate",
        None,
        {
            "accuracy": {"min": 0.3},
            "expected_calibration_error": {"max": 0.9},
            "regression": {"accuracy": {"max_drop": 0.0}},
            "each_slice": {"min_examples": 1, "accuracy": {"min": 0.05}},
        },
    )


@pytest.fixture(scope="module")
def second(judge: Judge) -> Judged:
    """The candidate beside a better production model, with bounds that it fails."""
    return judge(
        "candidate",
        "better",
        {
            "accuracy": {"min": 0.99},
            "macro_f1": {"max": 0.01},
            "top_3_accuracy": {"min": 0.01},
            "regression": {
                "accuracy": {"max_drop": 0.01},
                "expected_calibration_error": {"max_drop": 0.0},
                "macro_recall": {"max_drop": 1.0},
            },
            "each_slice": {"min_examples": 30, "accuracy": {"min": 0.98}},
        },
    )


def test_the_first_model_is_blessed_without_a_production_model(first: Judged) -> None:
    assert first.blessed
    assert first.card.blessed
    assert first.card.failed == ()
    assert first.card.production is None
    assert first.files == {"BLESSED"}


def test_metrics_are_those_of_numpy_and_scikit_learn(first: Judged, data: Data) -> None:
    occurring = {*data.labels, *data.candidate.argmax(axis=1)}
    assert len(occurring) < CLASSES
    assert first.card.metrics["example_count"] == COUNT
    for name in METRICS:
        expected = _expected(name, data, data.candidate)
        assert first.card.metrics[name] == pytest.approx(expected, abs=1e-5), name


def test_what_both_models_answered_to_each_image_is_kept(second: Judged, data: Data) -> None:
    kept = second.predictions
    assert kept is not None
    assert kept.production is not None
    rows = {
        digest(f"image {row}".encode(), np.int64(data.labels[row])): row for row in range(COUNT)
    }
    order = [rows[one] for one in kept.digests]
    assert sorted(order) == list(range(COUNT))
    truth = data.labels[order]
    np.testing.assert_array_equal(kept.labels, truth)
    for predicted, given in ((kept.candidate, data.candidate), (kept.production, data.better)):
        probabilities = given[order]
        np.testing.assert_array_equal(predicted.prediction, probabilities.argmax(axis=1))
        np.testing.assert_allclose(predicted.score, probabilities.max(axis=1))
        told = probabilities[np.arange(COUNT), truth]
        np.testing.assert_allclose(predicted.truth_score, told)
        np.testing.assert_array_equal(predicted.rank, (probabilities > told[:, None]).sum(axis=1))


def test_there_are_no_answers_of_a_production_model_before_there_is_one(first: Judged) -> None:
    assert first.predictions is not None
    assert first.predictions.production is None


def test_the_confusion_matrix_counts_every_example(first: Judged, data: Data) -> None:
    matrix = np.zeros((CLASSES, CLASSES), int)
    np.add.at(matrix, (data.labels, data.candidate.argmax(axis=1)), 1)
    np.testing.assert_array_equal(first.card.confusion, matrix)


def test_every_class_has_its_scores_in_label_order(first: Judged, data: Data) -> None:
    from sklearn.metrics import roc_auc_score

    assert tuple(score.label for score in first.card.classes) == LABELS
    predicted = data.candidate.argmax(axis=1)
    precision, recall, f1, support = precision_recall_fscore_support(
        data.labels, predicted, labels=range(CLASSES), zero_division=np.nan
    )
    for number, score in enumerate(first.card.classes[:-1]):
        assert score.examples == support[number]
        found = (score.precision, score.recall, score.f1)
        assert found == pytest.approx((precision[number], recall[number], f1[number]))
        auc = roc_auc_score(data.labels == number, data.candidate[:, number])
        assert score.auc == pytest.approx(auc, abs=0.01)


def test_of_a_class_that_is_not_there_nothing_is_said(first: Judged) -> None:
    last = first.card.classes[-1]
    assert (last.examples, last.precision, last.recall, last.f1) == (0, None, None, None)
    assert last.auc is None
    assert first.card.evidence is not None
    assert [one.label for one in first.card.evidence.untested] == ["never there"]
    of_one_class = first.card.slices[f"image/class/text={KNOWN[0]}"]
    assert of_one_class["macro_recall"] == pytest.approx(of_one_class["accuracy"])


def test_without_any_threshold_a_model_must_beat_a_constant(judge: Judge) -> None:
    none = {"accuracy": None, "regression": {}}
    good = judge("better", None, none)
    assert good.blessed
    assert good.files == {"BLESSED"}
    constant = judge("constant", None, none)
    assert {one.kind for one in constant.card.failed} == {"majority", "missed"}
    assert constant.files == {"NOT_BLESSED"}
    # The mean precision is of the class that is answered alone, and says so.
    assert constant.card.evidence is not None
    assert constant.card.evidence.means("macro_precision") == f"over 1 of {CLASSES} classes"
    assert [one.precision is None for one in constant.card.classes] == [False, True, True, True]


def test_a_class_without_test_images_refuses_by_default(judge: Judge) -> None:
    judged = judge("better", None, {}, untested="refuse")
    assert [one.kind for one in judged.card.failed] == ["untested"]
    assert "never there (0)" in judged.card.sentences[0]
    assert judged.files == {"NOT_BLESSED"}


def test_a_metric_that_is_not_defined_fails_its_bound(judge: Judge) -> None:
    judged = judge("absent", None, {"accuracy": None, "macro_precision": {"min": 0.0}})
    assert judged.card.metrics["macro_precision"] is None
    assert ("macro_precision", None) in {(one.metric, one.value) for one in judged.card.failed}
    assert not judged.blessed


def test_slices_have_metrics_of_their_own(first: Judged, data: Data) -> None:
    expected = {f"image/class/text={label}" for label in KNOWN}
    assert set(first.card.slices) == expected | {"image/source=large", "image/source=small"}
    for source in ("large", "small"):
        rows = np.array(data.sources) == source
        found = first.card.slices[f"image/source={source}"]
        hits = data.candidate[rows].argmax(axis=1) == data.labels[rows]
        assert found["example_count"] == rows.sum()
        assert found["accuracy"] == pytest.approx(hits.mean())


def test_a_model_that_fails_bounds_is_not_blessed(second: Judged) -> None:
    assert not second.blessed
    assert not second.card.blessed
    assert second.files == {"NOT_BLESSED"}


def test_both_models_are_measured_on_the_same_examples(second: Judged, data: Data) -> None:
    assert second.card.production is not None
    for metrics, probabilities in (
        (second.card.metrics, data.candidate),
        (second.card.production, data.better),
    ):
        assert metrics["accuracy"] == pytest.approx(_expected("accuracy", data, probabilities))
        error = _expected("expected_calibration_error", data, probabilities)
        assert metrics["expected_calibration_error"] == pytest.approx(error, abs=1e-5)
    assert second.card.metrics.keys() == second.card.production.keys()


def test_every_bound_that_was_failed_is_named_and_no_other(second: Judged, data: Data) -> None:
    failed = {(one.metric, one.where, one.kind): one for one in second.card.failed}
    overall = {key for key in failed if key[1] == "all"}
    assert overall == {
        ("accuracy", "all", "min"),
        ("macro_f1", "all", "max"),
        ("accuracy", "all", "regression"),
        ("expected_calibration_error", "all", "regression"),
    }
    slices = {key[1] for key in failed} - {"all"}
    # The small source has 18 examples, fewer than are judged.
    large = {
        f"image/class/text={label}"
        for number, label in enumerate(KNOWN)
        if (data.labels == number).sum() >= 30
    }
    assert slices == {"image/source=large", *large}


def test_a_regression_says_what_production_has(second: Judged, data: Data) -> None:
    failed = {(one.metric, one.kind): one for one in second.card.failed if one.where == "all"}
    accuracy = failed["accuracy", "regression"]
    production = _expected("accuracy", data, data.better)
    assert accuracy.value == pytest.approx(_expected("accuracy", data, data.candidate))
    assert accuracy.production == pytest.approx(production)
    assert accuracy.bound == pytest.approx(production - 0.01)
    assert "below the bound" in accuracy.sentence()
    # Lower is better here: the bound lies above production's value, or at it.
    error = failed["expected_calibration_error", "regression"]
    assert error.value == pytest.approx(
        _expected("expected_calibration_error", data, data.candidate), abs=1e-5
    )
    assert error.bound == pytest.approx(
        _expected("expected_calibration_error", data, data.better), abs=1e-5
    )
    assert "above the bound" in error.sentence()


def test_a_slice_below_its_bound_takes_the_blessing_back(judge: Judge) -> None:
    # TFMA blesses this model, which is better than production in both directions.
    judged = judge(
        "better",
        "candidate",
        {
            "accuracy": {"min": 0.5},
            "regression": {
                "accuracy": {"max_drop": 0.0},
                "expected_calibration_error": {"max_drop": 0.0},
            },
            "each_slice": {"min_examples": 10, "accuracy": {"min": 0.9999}},
        },
    )
    assert judged.card.failed
    assert {one.kind for one in judged.card.failed} == {"min"}
    assert "all" not in {one.where for one in judged.card.failed}
    assert not judged.blessed
    assert judged.files == {"NOT_BLESSED"}


def test_production_may_know_fewer_classes(judge: Judge, data: Data) -> None:
    known = 2  # labels go further: to such images production has no right answer
    judged = judge(
        "candidate",
        "better",
        {"accuracy": {"min": 0.1}, "regression": {}},
        production_classes=known,
    )
    assert judged.blessed
    assert judged.card.production is not None
    expected = _expected("accuracy", data, data.better[:, :known])
    assert judged.card.production["accuracy"] == pytest.approx(expected)
    assert judged.card.metrics["accuracy"] == pytest.approx(
        _expected("accuracy", data, data.candidate)
    )
