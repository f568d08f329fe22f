"""A version is traced to what it was made of, and what does not fit together is said."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import pytest
from ml_metadata.proto import metadata_store_pb2 as mlmd
from rich.console import Console

from components import model_store
from pipeline import config
from pipeline.config import Config, ConfigError
from pipeline.history import lineage, runs
from pipeline.history.metadata import History
from tests.pipeline.history.test_metadata import Recorder

State = mlmd.Execution
SETTINGS = {"name": "test", "trainer": {"mode": "head", "epochs": 3}, "backbone": {"name": "lite"}}


def _artifact(uri: Path | str, **properties: str | int) -> mlmd.Artifact:
    artifact = mlmd.Artifact(uri=str(uri))
    for name, value in properties.items():
        kind = "string_value" if isinstance(value, str) else "int_value"
        setattr(artifact.custom_properties[name], kind, value)
    return artifact


def _run(recorder: Recorder, settings: Config, folder: Path, run: str, span: int) -> int:
    """Records a run that trained on a span and pushed; returns the version."""
    model = folder / "artifacts" / run
    (model / "Format-Serving").mkdir(parents=True)
    (model / "Format-Serving" / "saved_model.pb").write_text(run)
    version = model_store.publish(str(model / "Format-Serving"), settings.model_store, keep=9)
    examples = _artifact("/examples", span=str(span), input_fingerprint=f"xor:{span}")
    recorder.record(run, "example-gen", State.COMPLETE, outputs={"examples": examples})
    graph = _artifact("/graph")
    recorder.record(run, "transform", State.CACHED, outputs={"transform_graph": graph})
    recorder.record(run, "trainer", State.COMPLETE, str(model))
    pushed = _artifact(
        "/pushed",
        pushed=1,
        pushed_version=str(version),
        pushed_destination=model_store.path(settings.model_store, version),
    )
    recorder.record(run, "pusher", State.COMPLETE, outputs={"pushed_model": pushed})
    options = json.dumps({"config": SETTINGS, "commit": "0123abc"})
    recorder.record(run, "report", State.COMPLETE, options=options)
    return version


@pytest.fixture
def settings(tmp_path: Path) -> Config:
    output = {"name": "test", "data": {"root": str(tmp_path)}, "output": str(tmp_path)}
    return config.validate(output, "test")


@pytest.fixture
def versions(tmp_path: Path, settings: Config) -> list[int]:
    recorder = Recorder(tmp_path / "metadata.db")
    return [_run(recorder, settings, tmp_path, f"run-{span}", span) for span in (0, 1)]


def test_a_version_is_traced_to_model_graph_span_config_and_code(
    tmp_path: Path, settings: Config, versions: list[int]
) -> None:
    found = lineage.of_version(settings, runs.open_history(settings), versions[1])
    assert found.version == versions[1]
    assert found.run == "run-1"
    assert found.path == f"{settings.model_store}/{versions[1]}"
    assert found.model == str(tmp_path / "artifacts" / "run-1")
    assert found.transform_graph == "/graph"
    assert (found.span, found.fingerprint) == (1, "xor:1")
    assert found.config == SETTINGS
    assert found.commit == "0123abc"
    assert found.disagreements == ()
    assert json.loads(lineage.as_json(found))["config"]["trainer"]["epochs"] == 3
    shown = io.StringIO()
    lineage.show(found, Console(file=shown, width=200))
    for text in ("run-1", "0123abc", "head on lite", "/graph", "span 1", "xor:1"):
        assert text in shown.getvalue()
    assert "disagreement" not in shown.getvalue()


@pytest.mark.parametrize(
    ("window", "fingerprint", "spans"),
    [
        (1, "train:num_files:2,x", (5,)),
        (3, "all:num_files:2,x\nall:num_files:0,x\nall:num_files:1,x", (3, 5)),
        (9, "", (0, 1, 2, 3, 4, 5)),
        (
            2,
            "train:num_files:1,x\ntest:num_files:0,x\ntrain:num_files:1,x\ntest:num_files:1,x",
            (4, 5),
        ),
    ],
)
def test_all_spans_of_a_window_went_into_the_version(
    window: int, fingerprint: str, spans: tuple[int, ...]
) -> None:
    assert lineage._spans(5, window, fingerprint) == spans


def test_a_span_is_followed_to_the_versions(settings: Config, versions: list[int]) -> None:
    history = runs.open_history(settings)
    assert [one.version for one in lineage.of_span(settings, history, 0)] == versions[:1]
    assert lineage.of_span(settings, history, 7) == []
    shown = io.StringIO()
    lineage.show_span(0, lineage.of_span(settings, history, 0), Console(file=shown, width=200))
    assert str(versions[0]) in shown.getvalue()


def test_where_store_and_metadata_disagree_it_is_said(
    tmp_path: Path, settings: Config, versions: list[int]
) -> None:
    history = runs.open_history(settings)

    def disagreement(version: int) -> str:
        (sentence,) = lineage.of_version(settings, history, version).disagreements
        return sentence

    standing = Path(settings.model_store, str(versions[0]))
    (standing / "saved_model.pb").write_text("another")
    assert "are not those of" in disagreement(versions[0])
    shutil.rmtree(tmp_path / "artifacts" / "run-0")
    assert "is gone" in disagreement(versions[0])
    shutil.copytree(standing, Path(settings.model_store, "7"))
    shutil.rmtree(standing)
    assert "does not hold it any more" in disagreement(versions[0])
    assert "no run that ML Metadata knows pushed it" in disagreement(7)
    moved = settings.model_copy(
        update={"push": settings.push.model_copy(update={"model_store": str(tmp_path / "else")})}
    )
    found = lineage.of_version(moved, history, versions[1]).disagreements
    assert "was pushed to" in found[0]


def test_an_unknown_version_is_refused_with_those_that_are_known(
    settings: Config, versions: list[int]
) -> None:
    with pytest.raises(ConfigError, match=f"known are {versions[0]}, {versions[1]}"):
        lineage.of_version(settings, runs.open_history(settings), 3)


def test_a_run_is_found_by_id_start_and_version(
    tmp_path: Path, settings: Config, versions: list[int]
) -> None:
    history = History(str(tmp_path / "metadata.db"), "test")
    assert runs.find(history, None) == "run-1"
    assert runs.find(history, "run-0") == "run-0"
    assert runs.find(history, str(versions[0])) == "run-0"
    for name in ("run-", "other", "12"):
        with pytest.raises(ConfigError, match="the last runs are run-0, run-1"):
            runs.find(history, name)
