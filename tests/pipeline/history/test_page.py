"""A run has a page however it ended, and the page says what ML Metadata knows of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from ml_metadata.proto import metadata_store_pb2 as mlmd

from components import model_config
from components.image_example_gen import intake
from components.report.component import DATA_FILE
from components.report.gallery import Mistake, Picture
from components.report.page import Page, Served, Verdict
from pipeline import config
from pipeline.config import Config
from pipeline.history import page as run_page
from pipeline.history import runs
from tests.pipeline.history.test_metadata import Recorder, result

State = mlmd.Execution
ERROR = """Traceback (most recent call last):

  File "trainer/fitting.py", line 60, in on_train_batch_end

    raise TrainingFailedError("the loss is <nan>")

trainer.fitting.TrainingFailedError: the loss is <nan>
"""


@pytest.fixture
def settings(tmp_path: Path) -> Config:
    given = {
        "name": "test",
        "data": {"root": str(tmp_path), "labels": ["a", "b"]},
        "card": {"owner": "the zoo"},
        "output": str(tmp_path),
    }
    return config.validate(given, "test")


@pytest.fixture
def recorder(tmp_path: Path) -> Recorder:
    """Records a run whose data came in."""
    examples = tmp_path / "examples"
    examples.mkdir()
    found = intake.Intake(
        span=3, clean={"train": 9}, classes={"train": {"a": 4, "b": 5}}, quarantined={}
    )
    (examples / intake.FILE_NAME).write_text(found.as_json(), "utf-8")
    recorder = Recorder(tmp_path / "metadata.db")
    outputs = {"examples": mlmd.Artifact(uri=str(examples))}
    recorder.record("run", "example-gen", State.COMPLETE, outputs=outputs)
    return recorder


def test_a_run_that_failed_has_a_page_of_what_there_is(
    settings: Config, recorder: Recorder, tmp_path: Path
) -> None:
    result = json.dumps({"resultMessage": ERROR})
    recorder.record("run", "trainer", State.FAILED, str(tmp_path), __execution_result__=result)
    history = runs.open_history(settings)
    page = run_page.page(settings, history, "run")
    assert page.verdict == Verdict(
        "failed",
        "The run failed, and nothing was pushed.",
        ("TrainingFailedError: the loss is <nan>",),
    )
    assert page.data is not None
    assert page.data.span == 3
    assert page.metrics == ()
    assert page.card.owner == "the zoo"
    example_gen, trainer = page.steps
    assert example_gen.size == (tmp_path / "examples" / intake.FILE_NAME).stat().st_size
    assert (trainer.id, trainer.state) == ("trainer", "failed")
    assert "fitting.py" in trainer.error
    file = run_page.write(settings, history, "run").path
    assert file == tmp_path / "reports" / "run.html"
    text = file.read_text("utf-8")
    assert "the loss is &lt;nan&gt;" in text
    assert "<nan>" not in text
    assert [one.name for one in file.parent.iterdir()] == ["run.html"]


def test_data_that_was_refused_says_why(settings: Config, recorder: Recorder) -> None:
    refusal = result("1 of 9 records are bad", "class b has no image")
    recorder.record("run", "data-gate", State.FAILED, __execution_result__=refusal)
    page = run_page.page(settings, runs.open_history(settings), "run")
    assert page.verdict.kind == "refused"
    assert page.verdict.reasons == ("1 of 9 records are bad", "class b has no image")
    assert [one.error for one in page.steps] == ["", ""]


def test_a_run_that_was_killed_is_unfinished(settings: Config, recorder: Recorder) -> None:
    recorder.record("run", "transform", State.RUNNING)
    page = run_page.page(settings, runs.open_history(settings), "run")
    assert page.verdict == Verdict("unfinished", "The run has not come to its end.")


def test_what_the_component_found_gets_the_steps_of_the_run(
    settings: Config, recorder: Recorder, tmp_path: Path
) -> None:
    made = tmp_path / "report"
    made.mkdir()
    found = Page("test", "an earlier run", Verdict("pushed", "Version 5 was pushed."))
    (made / DATA_FILE).write_text(found.to_json(), "utf-8")
    recorder.record("run", "pusher", State.CACHED)
    outputs = {"report": mlmd.Artifact(uri=str(made))}
    recorder.record("run", "report", State.CACHED, outputs=outputs)
    history = runs.open_history(settings)
    page = run_page.page(settings, history, "run")
    assert page.run == "run"
    assert page.verdict == found.verdict
    assert [step.id for step in page.steps] == ["example-gen", "pusher", "report"]
    (made / DATA_FILE).write_text('{"of": "another version"}', "utf-8")
    anew = run_page.page(settings, history, "run")
    assert anew.verdict.sentence == "The model was refused."
    assert anew.data is not None


def _whole(tmp_path: Path, recorder: Recorder) -> Path:
    """Records a run whose Report made a page with mistakes; returns the page's folder."""
    made = tmp_path / "report"
    made.mkdir()
    picture = Picture("data:image/png;base64,AA==", 1, 1)
    found = Page(
        "test",
        "run",
        Verdict("pushed", "Version 5 was pushed."),
        wrong=1,
        mistakes=(Mistake(picture, "a", "b", 0.9, 0.1, name="cats/1.jpg"),),
    )
    (made / DATA_FILE).write_text(found.to_json(), "utf-8")
    recorder.record("run", "pusher", State.COMPLETE)
    recorder.record(
        "run", "report", State.COMPLETE, outputs={"report": mlmd.Artifact(uri=str(made))}
    )
    return made


def test_a_page_stays_when_the_run_has_less_to_show(
    settings: Config, recorder: Recorder, tmp_path: Path
) -> None:
    made = _whole(tmp_path, recorder)
    history = runs.open_history(settings)
    whole = run_page.write(settings, history, "run")
    assert (whole.kept, whole.gone, whole.sentence()) == (False, (), "")
    text = whole.path.read_text("utf-8")
    assert "cats/" in text
    for folder in (made, tmp_path / "examples"):
        shutil.rmtree(folder)
    again = run_page.write(settings, history, "run")
    assert again.kept
    assert again.gone == ("the examples",)
    assert "the examples" in again.sentence()
    assert whole.path.read_text("utf-8") == text


def test_without_an_earlier_page_the_page_says_what_is_gone(
    settings: Config, recorder: Recorder, tmp_path: Path
) -> None:
    made = _whole(tmp_path, recorder)
    for folder in (made, tmp_path / "examples"):
        shutil.rmtree(folder)
    history = runs.open_history(settings)
    written = run_page.write(settings, history, "run")
    assert not written.kept
    assert "are gone" in written.path.read_text("utf-8")
    # A page that shows as much may be replaced.
    assert not run_page.write(settings, history, "run").kept


def test_what_is_served_is_what_the_store_serves_by_now(
    settings: Config, recorder: Recorder
) -> None:
    recorder.record("run", "trainer", State.FAILED)
    history = runs.open_history(settings)
    assert run_page.page(settings, history, "run").served is None
    for version in (1_700_000_000, 1_700_000_100):
        Path(settings.model_store, str(version)).mkdir(parents=True)
    newest = Served(1_700_000_100, 1_700_000_100.0)
    assert run_page.page(settings, history, "run").served == newest
    model_config.pin(settings.model_store, 1_700_000_000)
    pinned = Served(1_700_000_000, 1_700_000_000.0, pinned=True)
    assert run_page.page(settings, history, "run").served == pinned
