"""What ML Metadata holds about runs is told by component, in a database as TFX fills it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

from components import refusal
from components.refusal import Refusal
from pipeline.config import ConfigError
from pipeline.history.metadata import ComponentRun, History

State = mlmd.Execution


def result(*reasons: str) -> str:
    """Returns what TFX keeps of a gate that refused."""
    record = Refusal(reasons).to_json()
    return json.dumps({"code": refusal.CODE, "resultMessage": record})


class Recorder:
    """Writes contexts, executions and events under the types that TFX uses."""

    def __init__(self, database: Path) -> None:
        """Makes the database and its types."""
        config = mlmd.ConnectionConfig()
        config.sqlite.filename_uri = str(database)
        config.sqlite.connection_mode = mlmd.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
        self.store = MetadataStore(config)
        self._types = {
            name: self.store.put_context_type(mlmd.ContextType(name=name))
            for name in ("pipeline", "pipeline_run", "node")
        }
        self._execution = self.store.put_execution_type(mlmd.ExecutionType(name="step"))
        self._artifact = self.store.put_artifact_type(mlmd.ArtifactType(name="Model"))

    def _context(self, kind: str, name: str) -> mlmd.Context:
        found = self.store.get_context_by_type_and_name(kind, name)
        if found is not None:
            return found
        context = mlmd.Context(type_id=self._types[kind], name=name)
        (context.id,) = self.store.put_contexts([context])
        return context

    def record(
        self,
        run: str,
        node: str,
        state: int,
        output: str | None = None,
        *,
        outputs: Mapping[str, mlmd.Artifact] | None = None,
        **properties: str,
    ) -> None:
        """Records an execution: `output` is the folder of a `model`; others go by their keys."""
        execution = mlmd.Execution(type_id=self._execution, last_known_state=state)
        for name, text in properties.items():
            execution.custom_properties[name].string_value = text
        contexts = [
            self._context(kind, name)
            for kind, name in (
                ("pipeline", "test"),
                ("pipeline_run", run),
                ("node", f"test.{node}"),
            )
        ]
        produced = []
        artifacts = {**({} if output is None else {"model": mlmd.Artifact(uri=output)})}
        for key, artifact in {**artifacts, **(outputs or {})}.items():
            event = mlmd.Event(type=mlmd.Event.OUTPUT)
            event.path.steps.add(key=key)
            event.path.steps.add(index=0)
            artifact.type_id = self._artifact
            produced.append((artifact, event))
        self.store.put_execution(execution, produced, contexts)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    recorder = Recorder(tmp_path / "metadata.db")
    recorder.record("run-b", "transform", State.COMPLETE)
    recorder.record("run-b", "trainer", State.COMPLETE, "/model-1")
    recorder.record("run-a", "transform", State.CACHED)
    recorder.record("run-a", "trainer", State.FAILED)
    recorder.record("run-a", "evaluator", State.RUNNING)
    return tmp_path / "metadata.db"


def test_runs_are_in_the_order_in_which_they_began(database: Path) -> None:
    assert History(str(database), "test").runs() == ["run-b", "run-a"]


def test_components_are_in_the_order_asked_for_with_their_states(database: Path) -> None:
    nodes = ["pusher", "transform", "trainer", "evaluator"]
    found = History(str(database), "test").components("run-a", nodes)
    assert [(component.id, component.state) for component in found] == [
        ("pusher", "not run"),
        ("transform", "cached"),
        ("trainer", "failed"),
        ("evaluator", "running"),
    ]
    assert [component.cached for component in found] == [False, True, False, False]
    assert all(component.started > 1e9 and component.seconds >= 0 for component in found[1:])
    assert found[0] == ComponentRun("pusher", "not run")


def test_an_unknown_run_has_run_nothing(database: Path) -> None:
    history = History(str(database), "test")
    assert history.components("", ["trainer"]) == [ComponentRun("trainer", "not run")]
    assert history.output("", "trainer", "model") is None


def test_an_output_is_that_of_its_run_node_and_key(database: Path) -> None:
    history = History(str(database), "test")
    found = history.output("run-b", "trainer", "model")
    assert found is not None
    assert found.uri == "/model-1"
    assert history.output("run-b", "trainer", "other") is None
    assert history.output("run-b", "pusher", "model") is None
    assert history.output("run-a", "trainer", "model") is None


def test_a_database_in_which_nothing_ran_has_no_runs(tmp_path: Path) -> None:
    config = mlmd.ConnectionConfig()
    config.sqlite.filename_uri = str(tmp_path / "metadata.db")
    config.sqlite.connection_mode = mlmd.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
    MetadataStore(config)
    assert History(str(tmp_path / "metadata.db"), "test").runs() == []


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    database = tmp_path / "metadata.db"
    database.write_text("no database" * 100)
    with pytest.raises(ConfigError, match=r"metadata\.db"):
        History(str(database), "test")


def test_parameters_outputs_and_errors_are_told(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "metadata.db")
    outputs = {"one": mlmd.Artifact(uri="/1"), "two": mlmd.Artifact(uri="/2")}
    recorder.record("run", "trainer", State.COMPLETE, outputs=outputs, options='{"a": [1]}')
    result = '{"resultMessage": "Traceback: no", "code": 1}'
    recorder.record("run", "evaluator", State.FAILED, __execution_result__=result)
    history = History(str(tmp_path / "metadata.db"), "test")
    found = {key: one.uri for key, one in history.outputs("run", "trainer").items()}
    assert found == {"one": "/1", "two": "/2"}
    assert history.parameter("run", "trainer", "options") == {"a": [1]}
    assert history.parameter("run", "trainer", "other") is None
    assert history.parameter("run", "pusher", "options") is None
    trainer, evaluator = history.components("run", ["trainer", "evaluator"])
    assert trainer.error == ""
    assert evaluator.error == "Traceback: no"
