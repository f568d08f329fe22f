"""What a person sees of runs: first, repeated, changed, refused.

The tests share a workspace and stand in the order of its runs. Each asks for the runs that it needs
before its own, so that it passes by itself, too.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_model_analysis as tfma

from components.evaluator.class_scores import F1, PRECISION, RECALL
from components.report.component import DATA_FILE, PAGE_FILE, REPORT_KEY
from components.report.page import Page
from pipeline.data import peek
from pipeline.history.metadata import History
from retrain.__main__ import main
from tests.e2e.conftest import Finished, Workspace, make_workspace, retrain

pytestmark = pytest.mark.slow

UP_TO_TRANSFORM = (
    "example-gen",
    "schema-gen",
    "statistics-gen",
    "example-validator",
    "span-drift",
    "data-gate",
    "transform",
)
METRICS = ("accuracy", "top_3_accuracy", "macro_precision", "macro_recall", "macro_f1")


@pytest.fixture(scope="module")
def second_run(workspace: Workspace, first_run: Finished) -> Finished:
    """The same again, after which there is nothing new."""
    return workspace.run()


@pytest.fixture(scope="module")
def worse_run(workspace: Workspace, second_run: Finished) -> Finished:
    """A run whose model learnt next to nothing."""
    return workspace.run("trainer.epochs=1", "trainer.learning_rate=1e-6")


@pytest.fixture(scope="module")
def slice_run(workspace: Workspace, second_run: Finished) -> Finished:
    """A run with a bound that slices miss."""
    bound = "{min_examples: 5, accuracy: {min: 0.999}}"
    return workspace.run(f"evaluation.thresholds.each_slice={bound}")


def _records(workspace: Workspace, output: str) -> list[bytes]:
    """Returns the serialized examples of the test split that an output of the first run holds."""
    files = workspace.files(f"{output}/*/Split-test/*")
    return [record.numpy() for record in tf.data.TFRecordDataset(files, compression_type="GZIP")]


def test_the_first_run_pushes_a_version(workspace: Workspace, first_run: Finished) -> None:
    assert first_run.code == 0, first_run.output + first_run.errors
    result = first_run.json
    assert result["verdict"] == "pushed"
    assert result["reasons"] == []
    assert set(first_run.states().values()) == {"done"}
    assert [str(result["version"])] == workspace.versions()
    assert Path(result["path"]) == workspace.store / str(result["version"])
    assert all(0.3 < result["metrics"][metric] <= 1 for metric in METRICS)
    assert 0 <= result["metrics"]["expected_calibration_error"] < 0.5
    assert workspace.files("trainer/model_run/*/train/events.*")


def test_the_pushed_model_answers_bytes_and_examples_alike(
    workspace: Workspace, first_run: Finished, digits: Path
) -> None:
    model = tf.saved_model.load(first_run.json["path"])
    (records,) = digits.glob("span-0/*.tfrecord")
    images = [example["image/encoded"][0] for example in peek.examples(str(records), 40)]
    examples = [record.numpy() for record in tf.data.TFRecordDataset(str(records)).take(40)]
    by_bytes = model.signatures["serving_default"](image_bytes=tf.constant(images))
    by_example = model.signatures["serving_examples"](examples=tf.constant(examples))
    classes = model.signatures["classify"](inputs=tf.constant(examples))
    np.testing.assert_allclose(by_bytes["probabilities"], by_example["probabilities"], atol=1e-4)
    np.testing.assert_allclose(by_bytes["probabilities"], classes["scores"], atol=1e-4)
    best = by_bytes["probabilities"].numpy().argmax(axis=1)
    assert by_bytes["label"].numpy().tolist() == [str(digit).encode() for digit in best]


def test_the_pushed_model_equals_the_training_path(
    workspace: Workspace, first_run: Finished
) -> None:
    model = tf.saved_model.load(first_run.json["path"])
    records = _records(workspace, "transform/transformed_examples")
    parsed = tf.io.parse_example(records, {"image/encoded": tf.io.FixedLenFeature([], tf.string)})
    served = model.signatures["serving_default"](image_bytes=parsed["image/encoded"])
    evaluated = model.signatures["evaluation"](examples=tf.constant(records))
    np.testing.assert_allclose(served["probabilities"], evaluated["probabilities"], atol=1e-4)


def test_the_metrics_are_those_of_the_served_answers(
    workspace: Workspace, first_run: Finished
) -> None:
    model = tf.saved_model.load(first_run.json["path"])
    records = _records(workspace, "example-gen/examples")
    parsed = tf.io.parse_example(
        records, {"image/class/text": tf.io.FixedLenFeature([], tf.string)}
    )
    answers = model.signatures["serving_examples"](examples=tf.constant(records))["label"]
    hits = (answers.numpy() == parsed["image/class/text"].numpy()).mean()
    assert first_run.json["metrics"]["example_count"] == len(records)
    assert first_run.json["metrics"]["accuracy"] == pytest.approx(hits, abs=1e-6)


def test_a_model_is_pushed_once(
    workspace: Workspace, first_run: Finished, second_run: Finished
) -> None:
    again = second_run
    assert again.code == 0, again.output + again.errors
    # There is a production model now, so the same candidate is judged anew; nothing else runs.
    assert again.states() == {
        **dict.fromkeys((*UP_TO_TRANSFORM, "trainer", "serving-validator"), "cached"),
        **dict.fromkeys(("production-model", "evaluator", "pusher", "report"), "done"),
    }
    assert again.json["version"] == first_run.json["version"]
    assert workspace.versions() == [str(first_run.json["version"])]


@pytest.mark.usefixtures("second_run")
def test_a_run_without_news_is_all_cache(workspace: Workspace, first_run: Finished) -> None:
    again = workspace.run()
    assert again.code == 0, again.output + again.errors
    assert set(again.states().values()) == {"cached"}
    assert all(component["cached"] for component in again.json["components"])
    assert again.json["version"] == first_run.json["version"]
    assert again.json["metrics"] == pytest.approx(first_run.json["metrics"])


@pytest.mark.usefixtures("second_run")
def test_a_model_that_needs_too_much_to_be_served_is_refused(
    workspace: Workspace, first_run: Finished
) -> None:
    refused = workspace.run("serving.memory_mb=1")
    assert refused.code == 1, refused.output + refused.errors
    assert refused.json["verdict"] == "refused"
    # The model is the one that was pushed: only its serving is judged anew.
    states = refused.states()
    assert states.pop("serving-validator") == "done"
    before = states.keys() - {"pusher", "report"}
    assert {states[node] for node in before} == {"cached"}
    (reason,) = refused.json["reasons"]
    assert reason.startswith("serving: peak memory of the server is ")
    assert reason.endswith(" MiB, above the bound of 1 MiB")
    assert workspace.versions() == [str(first_run.json["version"])]


def test_a_worse_retrain_is_refused(
    workspace: Workspace, first_run: Finished, worse_run: Finished
) -> None:
    worse = worse_run
    assert worse.code == 1
    assert worse.json["verdict"] == "refused"
    assert worse.json["version"] is None
    assert worse.json["path"] is None
    # A change of the head leaves all before it cached.
    assert {worse.states()[node] for node in UP_TO_TRANSFORM} == {"cached"}
    assert worse.states()["trainer"] == "done"
    before = first_run.json["metrics"]["accuracy"]
    (regression,) = [text for text in worse.json["reasons"] if "production" in text]
    assert regression.startswith("accuracy on all: ")
    assert f"(production has {before:.4f})" in regression
    assert workspace.versions() == [str(first_run.json["version"])]


def test_a_slice_that_misses_its_bound_is_refused(slice_run: Finished) -> None:
    assert slice_run.code == 1
    assert slice_run.states()["trainer"] == "cached"
    assert any("image/class/text=" in reason for reason in slice_run.json["reasons"])


Look = Callable[..., Any]


@pytest.fixture
def look(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> Look:
    """Runs a command that looks at runs, in this process; returns what it says as JSON."""

    def run(*arguments: str, config: Path = workspace.config) -> Any:
        assert main([*arguments, "--config", str(config), "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    return run


def _check_against_tfma(page: Page, evaluation: str) -> None:
    """Compares what the page shows, overall, by class and by slice, with what TFMA wrote."""
    result = tfma.load_eval_result(evaluation).slicing_metrics
    theirs = {key: outputs[""] for key, outputs in result}

    def value(name: str, key: tuple[Any, ...] = (), sub_key: str = "") -> Any:
        return pytest.approx(theirs[key][sub_key][name]["doubleValue"], abs=1e-9)

    assert len(page.metrics) > 4
    for metric in page.metrics:
        assert metric.value == value(metric.name), metric.name
    assert len(page.classes) == len(page.labels) == 10
    for one in page.classes:
        sub_key = f"classId:{page.labels.index(one.label)}"
        assert one.precision == value(PRECISION, sub_key=sub_key)
        assert one.recall == value(RECALL, sub_key=sub_key)
        assert one.f1 == value(F1, sub_key=sub_key)
    for part in page.slices:
        feature, _, name = part.name.partition("=")
        assert part.accuracy == value("accuracy", ((feature, name),)), part.name
    assert sum(map(sum, page.matrix)) == page.test_images


def test_the_page_has_the_numbers_of_the_evaluator(
    workspace: Workspace, first_run: Finished, look: Look
) -> None:
    found = look("report", str(first_run.json["version"]))
    assert found["run"] == first_run.json["run"]
    history = History(str(workspace.output / "metadata.db"), "digits")
    component = history.output(found["run"], "report", REPORT_KEY)
    evaluation = history.output(found["run"], "evaluator", "evaluation")
    assert component is not None
    assert evaluation is not None
    page = Page.from_json(Path(component.uri, DATA_FILE).read_text("utf-8"))
    _check_against_tfma(page, evaluation.uri)
    for path in (Path(component.uri, PAGE_FILE), first_run.json["report"], found["path"]):
        text = Path(path).read_text("utf-8")
        assert len(text) < 6_000_000
        for name in METRICS:
            assert f'value="{first_run.json["metrics"][name]}"' in text
    assert ">transform</th>" in text  # only `retrain report` knows the components' times
    assert text.count('<li class="mistake') > 0
    assert "nearest in train" in text


@pytest.mark.usefixtures("slice_run")
def test_a_refused_run_has_a_page_and_the_last_run_is_meant_by_default(look: Look) -> None:
    text = Path(look("report")["path"]).read_text("utf-8")
    assert "✕ refused" in text
    assert "image/class/text=" in text


def test_a_version_is_traced_to_its_span_and_its_config(first_run: Finished, look: Look) -> None:
    version = first_run.json["version"]
    found = look("lineage", str(version))
    assert found["run"] == first_run.json["run"]
    assert found["metrics"] == first_run.json["metrics"]
    assert found["span"] == 0
    assert "xor_checksum" in found["fingerprint"]
    assert found["config"]["trainer"]["epochs"] == 15
    assert Path(found["transform_graph"], "transform_fn").is_dir()
    assert found["disagreements"] == []
    spans = look("lineage", "--span", "0")["versions"]
    assert [one["version"] for one in spans] == [version]


def test_a_worse_run_is_compared_with_the_first(
    first_run: Finished, worse_run: Finished, look: Look
) -> None:
    worse = worse_run.json["run"]
    assert worse in {run["run"] for run in look("runs")["runs"]}
    found = look("compare", first_run.json["run"], worse)
    assert {one["key"] for one in found["settings"]} == {"trainer.epochs", "trainer.learning_rate"}
    accuracy = found["metrics"][0]
    assert accuracy["metric"] == "accuracy"
    assert accuracy["reading"] == "worse"
    of_first, of_second, of_both = found["images"]
    assert of_first == of_second == first_run.json["metrics"]["example_count"]
    change = (len(found["mended"]) - len(found["broken"])) / of_both
    assert change == pytest.approx(accuracy["second"] - accuracy["first"], abs=1e-6)


def test_the_local_runner_does_the_same(workspace: Workspace, first_run: Finished) -> None:
    other = workspace.run(
        "trainer.seed=2",
        "evaluation.thresholds.regression={accuracy: {max_drop: 0.5}}",
        runner="local",
    )
    assert other.code == 0, other.output + other.errors
    assert {other.states()[node] for node in UP_TO_TRANSFORM} == {"cached"}
    assert other.states()["trainer"] == "done"
    assert workspace.versions() == [str(first_run.json["version"]), str(other.json["version"])]


def test_too_much_quarantine_stops_the_run(tmp_path: Path, digits: Path, look: Look) -> None:
    # The wrong label stands behind the records that are looked at before the run.
    (records,) = digits.glob("span-0/*.tfrecord")
    bad = tmp_path / "data" / "span-0" / "images.tfrecord"
    bad.parent.mkdir(parents=True)
    (tmp_path / "data" / "labels.txt").write_text((digits / "labels.txt").read_text("utf-8"))
    with tf.io.TFRecordWriter(str(bad)) as writer:
        for number, record in enumerate(tf.data.TFRecordDataset(str(records)).take(400)):
            example = tf.train.Example.FromString(record.numpy())
            if number == 300:
                example.features.feature["image/class/text"].bytes_list.value[0] = b"eleven"
            writer.write(example.SerializeToString())
    workspace = make_workspace(tmp_path, tmp_path / "data")
    refused = workspace.run("data.checks.max_quarantined=0")
    assert refused.code == 1
    assert refused.json["verdict"] == "refused"
    assert refused.states()["example-gen"] == "done"
    assert refused.states()["data-gate"] == "failed"
    assert refused.states()["transform"] == "not run"
    (reason,) = refused.json["reasons"]
    assert reason.startswith("1 of 400 records (0.2%) are in quarantine: 1 unknown-label;")
    assert refused.json["data"]["quarantined"] == 1
    assert workspace.versions() == []
    text = Path(refused.json["report"]).read_text("utf-8")
    assert look("report", config=workspace.config)["path"] == refused.json["report"]
    assert "1 of 400 records (0.2%) are in quarantine" in text
    assert "components/refusal.py" not in text, "a refusal is no fault of the code"
    assert "<h2>Metrics</h2>" not in text


def test_a_second_run_on_the_same_output_is_turned_away(workspace: Workspace) -> None:
    import fcntl

    workspace.output.mkdir(exist_ok=True)
    with (workspace.output / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        second = workspace.run()
    assert second.code == 2
    assert second.output == ""
    assert "another run" in second.errors


@pytest.mark.usefixtures("second_run")
def test_people_get_tables_and_the_next_step(workspace: Workspace) -> None:
    arguments = [part for part in workspace.arguments() if part != "--json"]
    shown = retrain(*arguments)
    assert shown.code == 0, shown.errors
    served = f"{workspace.store}/{workspace.versions()[-1]}"
    for text in ("transform", "cached", "precision", "pushed", served, "Next"):
        assert text in shown.output
    assert "Traceback" not in shown.errors


def test_a_span_unlike_the_one_before_is_told_and_refused(tmp_path: Path, digits: Path) -> None:
    # Span 1 is span 0 in negative.
    (records,) = digits.glob("span-0/*.tfrecord")
    root = tmp_path / "data"
    for span in (0, 1):
        (root / f"span-{span}").mkdir(parents=True)
        with tf.io.TFRecordWriter(str(root / f"span-{span}/a.tfrecord")) as writer:
            for record in tf.data.TFRecordDataset(str(records)).take(300):
                example = tf.train.Example.FromString(record.numpy())
                features = example.features.feature
                if span:
                    pixels = tf.io.decode_image(features["image/encoded"].bytes_list.value[0])
                    features["image/encoded"].bytes_list.value[0] = tf.io.encode_png(
                        255 - pixels
                    ).numpy()
                writer.write(example.SerializeToString())
    (root / "labels.txt").write_text((digits / "labels.txt").read_text("utf-8"), "utf-8")
    workspace = make_workspace(tmp_path, root)
    # Whether the model is good enough is not what is asked here: a refused one ends sooner.
    quick = ("trainer.epochs=1", "evaluation.thresholds={accuracy: {min: 1.0}}")
    assert workspace.run("data.span=0", *quick).states()["data-gate"] == "done"
    refused = workspace.run("data.drift.action=stop")
    assert refused.code == 1
    assert refused.states()["data-gate"] == "failed"
    assert any("image/brightness: mean" in reason for reason in refused.json["reasons"])
    assert refused.json["drift"]["previous"] == 0
    changed = {change["feature"] for change in refused.json["drift"]["changes"]}
    assert "image/brightness" in changed
    assert "image/class/text" not in changed
