"""The component reads what the others wrote, pushed or refused, and its numbers are theirs."""

from __future__ import annotations

import dataclasses
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from tfx.types import channel_utils, standard_artifacts

from components.evaluator import predictions, scorecard
from components.evaluator.scorecard import Scorecard
from components.report.component import DATA_FILE, OPTIONS_KEY, PAGE_FILE, Executor, Report
from components.report.page import Page, Served
from components.serving_validator import check as serving_check
from components.serving_validator.check import ServingCheck
from components.span_drift.report import Change, DriftReport
from tests.components.report import artifacts
from tests.components.report.artifacts import IMAGES
from tests.components.report.test_attention import save_model
from tests.conftest import LABELS, Record
from tests.conftest import Picture as Encode

Run = Callable[..., tuple[Page, str]]
CONFIG = {
    "name": "cats",
    "trainer": {"mode": "head"},
    "backbone": {"name": "lite"},
    "card": {"intended_use": "Finds cats."},
}


@pytest.fixture
def run(tmp_path: Path, picture: Encode, record: Record) -> Run:
    """Runs the executor on a run's artifacts, pushed or refused."""

    def make(
        pushed: bool = True,
        drift: DriftReport = DriftReport(7, 6),  # noqa: B008, it is frozen
    ) -> tuple[Page, str]:
        for folder in tmp_path.iterdir():
            if folder.name != "model":
                shutil.rmtree(folder)
        kinds = Report.SPEC_CLASS.INPUTS
        inputs: dict[str, Any] = {key: one.type() for key, one in kinds.items()}
        for key, artifact in inputs.items():
            artifact.uri = str(tmp_path / key)
        images = artifacts.transformed(tmp_path / "transformed", picture)
        artifacts.evaluation(tmp_path / "evaluation", images, blessed=pushed)
        artifacts.examples(tmp_path / "examples", picture, record)
        shutil.copytree(
            tmp_path / "transformed" / "Split-train", tmp_path / "examples" / "Split-train"
        )
        artifacts.logs(tmp_path / "model_run")
        (tmp_path / "drift").mkdir()
        (tmp_path / "drift" / "drift.json").write_text(drift.as_json())
        (tmp_path / "serving").mkdir()
        served = ServingCheck((), p50_ms=8.0, p99_ms=9.0, memory_mb=100.0)
        (tmp_path / "serving" / serving_check.FILE_NAME).write_text(served.to_json())
        inputs["examples"].set_string_custom_property("input_fingerprint", "xor:1")
        inputs["production"].set_int_custom_property("version", 16)
        inputs["pushed"].set_int_custom_property("pushed", int(pushed))
        if pushed:
            inputs["pushed"].set_string_custom_property("pushed_version", "17")
        node = Report(
            **{key: channel_utils.as_channel([one]) for key, one in inputs.items()},
            labels=LABELS,
            config=CONFIG,
            commit="abc + changes",
        )
        output = standard_artifacts.ModelEvaluation()
        output.uri = str(tmp_path / "report")
        Executor().Do(
            {key: [one] for key, one in inputs.items()},
            {"report": [output]},
            {OPTIONS_KEY: node.exec_properties[OPTIONS_KEY]},
        )
        folder = Path(output.uri)
        page = Page.from_json((folder / DATA_FILE).read_text("utf-8"))
        return page, (folder / PAGE_FILE).read_text("utf-8")

    return make


def test_everything_that_was_written_is_on_the_page(run: Run, tmp_path: Path) -> None:
    page, text = run()
    card = Scorecard.from_json((tmp_path / "evaluation" / scorecard.FILE_NAME).read_text())
    assert page.verdict.kind == "pushed"
    assert page.verdict.sentence.startswith("Version 17 was pushed: it gets")
    (accuracy,) = page.metrics
    assert accuracy.value == card.metrics["accuracy"]
    assert accuracy.production == 0.25
    assert accuracy.interval is not None
    assert accuracy.difference is not None
    assert accuracy.interval.low < accuracy.value < accuracy.interval.high
    assert f'value="{accuracy.value}"' in text
    assert set(page.classes) == set(card.classes)
    assert page.matrix == card.confusion
    assert page.wrong == round(IMAGES * (1 - accuracy.value))
    assert sum(one.images for one in page.bins) == IMAGES
    assert page.production == 16
    assert page.data is not None
    assert page.data.span == 7
    assert page.drift == DriftReport(7, 6)
    (curve,) = page.curves
    assert curve.values == {"train": (1.0, 0.5), "val": (pytest.approx(1.1), 0.75)}
    assert page.temperature == 1.5
    assert page.serving is not None
    assert page.serving.p99_ms == 9.0
    assert page.card.intended_use == "Finds cats."
    assert page.made is not None
    assert (page.made.commit, page.made.fingerprint) == ("abc + changes", "xor:1")
    assert page.made.config == CONFIG
    assert page.made.packages["tensorflow"] == tf.__version__


def test_mistakes_come_with_what_is_nearest_in_train(run: Run) -> None:
    page, _ = run()
    assert page.compared == IMAGES
    assert len(page.mistakes) == min(24, page.wrong)
    scores = [one.score for one in page.mistakes]
    assert scores == sorted(scores, reverse=True)
    for one in page.mistakes:
        assert one.truth != one.prediction
        assert one.score >= one.truth_score
        assert one.picture.uri.startswith("data:image/png;base64,")
        first, *others = one.neighbours
        # Its own twin, of the same class, is turned by little.
        assert first.label == one.truth
        assert 0.9 < first.similarity < 1
        assert [near.similarity for near in others] < [first.similarity]


def test_mistakes_have_names_and_show_what_the_model_looked_at(run: Run, tmp_path: Path) -> None:
    save_model(tmp_path / "model" / "Format-Serving")
    page, text = run()
    for one in page.mistakes:
        assert one.name.startswith("test/")
        assert all(near.name.startswith("train/") for near in one.neighbours)
        assert f"<bdi>{one.name}</bdi>" in text.replace("<wbr>", "")
    seen = [one.seen is not None for one in page.mistakes]
    assert seen[0]
    assert not any(seen[6:])  # covering patches takes time, so it is done for the surest only


def test_the_top_says_when_and_what_is_served(run: Run) -> None:
    page, text = run()
    assert page.date is not None
    assert abs(page.date - time.time()) < 600
    assert page.served == Served(17, None, own=True)
    assert "Version 17" in text
    page, _ = run(pushed=False)
    assert page.served == Served(16, None, own=False)


def test_there_are_pictures_of_each_class_and_of_what_drifted(run: Run) -> None:
    brighter = Change("image/brightness", "Jensen-Shannon divergence", 0.3, 0.1, "mean", 0.2, 0.6)
    page, _ = run(drift=DriftReport(7, 6, (brighter,)))
    assert [one.label for one in page.samples] == list(LABELS)
    assert {len(one.images) for one in page.samples} == {4}
    (drifted,) = page.drifted
    assert drifted.feature == "image/brightness"
    # The brightest, as the mean rose; image n has the brightness n / 30.
    assert [one.name for one in drifted.images] == [f"train/{n}.png" for n in range(29, 23, -1)]
    darker = dataclasses.replace(brighter, before=0.6, after=0.2)
    (drifted,) = run(drift=DriftReport(7, 6, (darker,)))[0].drifted
    assert [one.name for one in drifted.images] == [f"train/{n}.png" for n in range(6)]


def test_what_is_in_quarantine_is_shown_even_if_it_is_no_image(run: Run) -> None:
    page, text = run()
    assert [bool(one.picture.uri) for one in page.held] == [True, False, False]
    assert page.held[0].origin == "data/a.tfrecord:4"
    assert text.count("not an image") == 2


def test_a_refused_model_gets_a_page_that_says_why(run: Run) -> None:
    page, text = run(pushed=False)
    assert page.verdict.kind == "refused"
    assert page.verdict.reasons[0].startswith("accuracy on all: ")
    assert page.verdict.reasons[0] in text


def test_without_embeddings_there_are_no_neighbours(run: Run, tmp_path: Path) -> None:
    run()
    from components.report import images

    for split in ("train", "test"):
        path = str(tmp_path / "transformed" / f"Split-{split}" / "a.gz")
        records = list(tf.data.TFRecordDataset(path, "GZIP").as_numpy_iterator())
        with tf.io.TFRecordWriter(path, "GZIP") as writer:
            for serialized in records:
                example = tf.train.Example.FromString(serialized)
                del example.features.feature["embedding/abc"]
                writer.write(example.SerializeToString())
    found = predictions.read(str(tmp_path / "evaluation"))
    assert found is not None
    shown, compared = images.mistakes(str(tmp_path / "transformed"), found, LABELS)
    assert compared == 0
    assert shown
    assert all(one.neighbours == () and one.picture.uri for one in shown)


def test_none_misclassified_is_no_mistake(run: Run, tmp_path: Path) -> None:
    run()
    from components.report import images

    found = predictions.read(str(tmp_path / "evaluation"))
    assert found is not None
    perfect = dataclasses.replace(
        found, candidate=dataclasses.replace(found.candidate, prediction=found.labels)
    )
    assert images.mistakes(str(tmp_path / "transformed"), perfect, LABELS) == ((), 0)
