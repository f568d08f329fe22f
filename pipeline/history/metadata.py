"""Reads the runs on this machine from ML Metadata."""

import dataclasses
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml_metadata import errors
from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2

from components import refusal
from components.refusal import Refusal
from pipeline.config import ConfigError

_States = metadata_store_pb2.Execution
_STATE_NAMES = {
    _States.NEW: "running",
    _States.RUNNING: "running",
    _States.COMPLETE: "done",
    _States.CACHED: "cached",
    _States.FAILED: "failed",
    _States.CANCELED: "interrupted",
}
NOT_RUN = "not run"
# Half of what an empty database takes.
_LEAST_BYTES = 2**18
# Property in which TFX's launcher stores the ExecutionResult of a failed execution, as JSON.
RESULT = "__execution_result__"


@dataclass(frozen=True)
class ComponentRun:
    """A component in one run.

    Attributes:
        id: node id in the graph.
        state: "running", "done", "cached", "failed", "interrupted" or "not run".
        started: Unix time in seconds; 0 if it did not run.
        seconds: duration, up to now if it is running.
        error: the traceback if it raised an error, else "".
        refusal: the reasons if it is a gate that refused (its state is "failed" too), else None.
        usual: seconds that it took when it last ran, not from the cache; 0 if unknown.
    """

    id: str
    state: str
    started: float = 0.0
    seconds: float = 0.0
    error: str = ""
    refusal: Refusal | None = None
    usual: float = 0.0

    @property
    def cached(self) -> bool:
        """Whether the outputs came from the cache."""
        return self.state == "cached"


class History:
    """The ML Metadata database of one pipeline, for reading."""

    def __init__(self, database: str, pipeline: str) -> None:
        """Opens the sqlite file `database`, which must exist, for the pipeline of this name.

        Raises:
            ConfigError: the file is no database of ML Metadata.
        """
        config = metadata_store_pb2.ConnectionConfig()
        config.sqlite.filename_uri = database
        config.sqlite.connection_mode = config.sqlite.READONLY
        try:
            self._store = MetadataStore(config)
        except (RuntimeError, errors.StatusError) as error:
            folder = Path(database).parent
            # A database that a full disk cut short is none yet.
            if folder.is_dir() and shutil.disk_usage(folder).free < _LEAST_BYTES:
                raise ConfigError(f"no space left in {folder}; free some and run again") from error
            raise ConfigError(
                f"{database}: cannot be read as ML Metadata, so it may be damaged; move it"
                " away, and the next run begins a new record: models, reports and statistics stay"
            ) from error
        self._pipeline = pipeline

    def runs(self) -> list[str]:
        """Returns the ids of all runs, oldest first."""
        try:
            contexts = self._store.get_contexts_by_type("pipeline_run")
        except errors.NotFoundError:
            return []
        return [context.name for context in sorted(contexts, key=lambda context: context.id)]

    def components(self, run: str, nodes: Sequence[str]) -> list[ComponentRun]:
        """Returns the state of each node in a run, in the given order."""
        executions = self._executions(run)
        return [_component_run(node, executions.get(node)) for node in nodes]

    def output(self, run: str, node: str, key: str) -> metadata_store_pb2.Artifact | None:
        """Returns a node's output artifact in a run, made or cached; None if there is none."""
        return self.outputs(run, node).get(key)

    def outputs(self, run: str, node: str) -> dict[str, metadata_store_pb2.Artifact]:
        """Returns key -> output artifact of a node in a run, made or cached."""
        execution = self._executions(run).get(node)
        if execution is None:
            return {}
        keys = {
            event.artifact_id: event.path.steps[0].key
            for event in self._store.get_events_by_execution_ids([execution.id])
            if event.type == metadata_store_pb2.Event.OUTPUT
        }
        artifacts = self._store.get_artifacts_by_id(list(keys))
        return {keys[artifact.id]: artifact for artifact in artifacts}

    def parameter(self, run: str, node: str, key: str) -> Any:
        """Returns a node's parameter in a run, decoded from TFX's JSON; None if not recorded."""
        execution = self._executions(run).get(node)
        if execution is None or key not in execution.custom_properties:
            return None
        return json.loads(execution.custom_properties[key].string_value)

    def _executions(self, run: str) -> dict[str, metadata_store_pb2.Execution]:
        context = self._store.get_context_by_type_and_name("pipeline_run", run)
        if context is None:
            return {}
        found = {}
        for execution in self._store.get_executions_by_context(context.id):
            for parent in self._store.get_contexts_by_execution(execution.id):
                if parent.type == "node":
                    found[parent.name.removeprefix(f"{self._pipeline}.")] = execution
        return found


def _component_run(node: str, execution: metadata_store_pb2.Execution | None) -> ComponentRun:
    if execution is None:
        return ComponentRun(node, NOT_RUN)
    started = execution.create_time_since_epoch / 1000
    found = ComponentRun(
        id=node,
        state=_STATE_NAMES.get(execution.last_known_state, "running"),
        started=started,
        seconds=execution.last_update_time_since_epoch / 1000 - started,
    )
    if RESULT not in execution.custom_properties:
        return found
    result = json.loads(execution.custom_properties[RESULT].string_value)
    message = result.get("resultMessage", "")
    if result.get("code") == refusal.CODE:
        return dataclasses.replace(found, refusal=Refusal.from_json(message))
    return dataclasses.replace(found, error=message)
