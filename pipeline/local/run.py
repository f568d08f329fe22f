"""Runs the pipeline on this machine; importing this module loads TFX, Beam and TensorFlow."""

import contextlib
import dataclasses
import fcntl
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from ml_metadata import errors
from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2
from tfx.orchestration import metadata
from tfx.orchestration.beam.beam_dag_runner import BeamDagRunner
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.pipeline import Pipeline
from tfx.orchestration.portable.mlmd import execution_lib
from tfx.proto.orchestration import execution_result_pb2

from components import in_process, model_config
from pipeline.config import Config, ConfigError, is_remote
from pipeline.data.spans import Span
from pipeline.graph import build, schema
from pipeline.history import failure, outcome, page
from pipeline.history.commit import commit
from pipeline.history.metadata import NOT_RUN, RESULT, ComponentRun, History

_REMEMBERED = 10  # runs
RUNNERS = {"beam": BeamDagRunner, "local": LocalDagRunner}
_Look = Callable[[], Sequence[ComponentRun]]


def run(
    config: Config,
    span: Span,
    labels: Sequence[str],
    runner: str,
    log: str,
    watch: Callable[[_Look], contextlib.AbstractContextManager[None]],
) -> outcome.Outcome:
    """Runs the pipeline to its end.

    Args:
        config: what the user asked for.
        span: see `build.create_pipeline`.
        labels: class names.
        runner: a key of `RUNNERS`.
        log: path of the file that receives all output.
        watch: makes a context manager that shows progress, from a function that returns the
            current state of each component.

    Raises:
        ConfigError: the output is remote, another run writes to it, the file that pins the served
            version cannot be read, or the backbone's weights cannot be read.
        KeyboardInterrupt: the run was interrupted; the next run re-uses what is finished.
    """
    if is_remote(config.output):
        raise ConfigError(f"output: found {config.output}; allowed for a run here: a local path")
    try:
        model_config.pinned(config.model_store)
    except ValueError as wrong:
        raise ConfigError(str(wrong)) from wrong
    Path(config.output).mkdir(parents=True, exist_ok=True)
    with _only_run(config):
        schema_file = schema.write(
            schema.curated(labels, config.evaluation.slices), f"{config.output}/schema"
        )
        graph = _build(config, span, labels, schema_file)
        nodes = [component.id for component in graph.components]
        before = _runs(config)
        usual = _usual(config, nodes)
        error: Exception | None = None
        in_process.prefer()
        with watch(_progress(config, nodes, before, usual)):
            try:
                RUNNERS[runner]().run(graph)
            except (Exception, KeyboardInterrupt) as raised:
                if not isinstance(raised, Exception) or failure.interrupted(raised):
                    _mark_interrupted(config, before)
                    raise KeyboardInterrupt from raised
                # Any error in a component is the run's result; the log gets the whole traceback.
                error = raised
                _log(raised)
        history = History(config.metadata_file, config.name)
        run_id = max(set(history.runs()) - before, default="")
        if error is not None:
            # A full disk can fail the record, too.
            with contextlib.suppress(errors.StatusError, RuntimeError):
                _record(config.metadata_file, run_id, error)
        ended = outcome.read(history, run_id, nodes, error, log)
        pinned = model_config.pinned(config.model_store) if ended.verdict == "pushed" else None
        return dataclasses.replace(ended, page=_page(config, history, ended), pinned=pinned)


def _record(database: str, run: str, error: Exception) -> None:
    """Stores a traceback with a run's failed executions; TFX itself stores only drivers'."""
    store = MetadataStore(metadata.sqlite_metadata_connection_config(database))
    told = "".join(traceback.format_exception(error))
    for execution in _unexplained(store, run, metadata_store_pb2.Execution.FAILED):
        result = execution_result_pb2.ExecutionResult(result_message=told)
        execution_lib.set_execution_result(result, execution)
        store.put_executions([execution])


def _mark_interrupted(config: Config, before: set[str]) -> None:
    """Stores that the run whose id is not in `before` was interrupted in what ran just then."""
    states = metadata_store_pb2.Execution
    with contextlib.suppress(ConfigError, errors.StatusError, RuntimeError):
        run = max(_runs(config) - before, default="")
        if not run:  # and a store would make the database
            return
        store = MetadataStore(metadata.sqlite_metadata_connection_config(config.metadata_file))
        for execution in _unexplained(store, run, states.NEW, states.RUNNING, states.FAILED):
            execution.last_known_state = states.CANCELED
            store.put_executions([execution])


def _unexplained(
    store: MetadataStore, run: str, *states: int
) -> list[metadata_store_pb2.Execution]:
    """Returns a run's executions in one of the states that have no result that explains it."""
    context = store.get_context_by_type_and_name("pipeline_run", run)
    return [
        execution
        for execution in (store.get_executions_by_context(context.id) if context else ())
        if execution.last_known_state in states and RESULT not in execution.custom_properties
    ]


def _log(error: BaseException) -> None:
    """Writes a traceback into the run's log, unless the disk is full."""
    with contextlib.suppress(OSError):
        traceback.print_exception(error)


def _build(config: Config, span: Span, labels: Sequence[str], schema_file: str) -> Pipeline:
    # The run uses the span that was checked, even if another has arrived since.
    data = config.data.model_copy(update={"span": span.number})
    config = config.model_copy(update={"data": data})
    return build.create_pipeline(config, span, labels, schema_file, commit())


def _page(config: Config, history: History, ended: outcome.Outcome) -> str | None:
    """Writes the page of a run; returns its path, or if that fails the Report component's page."""
    try:
        return str(page.write(config, history, ended.run).path) if ended.run else None
    except Exception as error:  # a page that fails does not change how the run ended
        _log(error)
        return ended.page


def _progress(
    config: Config, nodes: Sequence[str], before: set[str], usual: Mapping[str, float]
) -> _Look:
    """Returns a function that reads each node's state in the run whose id is not in `before`."""
    found: Sequence[ComponentRun] = [ComponentRun(node, NOT_RUN) for node in nodes]

    def look() -> Sequence[ComponentRun]:
        nonlocal found
        # While TFX makes or locks the database, the last states are returned again.
        with contextlib.suppress(ConfigError, errors.StatusError):
            history = History(config.metadata_file, config.name)
            found = history.components(max(set(history.runs()) - before, default=""), nodes)
        return [dataclasses.replace(one, usual=usual.get(one.id, 0.0)) for one in found]

    return look


def _usual(config: Config, nodes: Sequence[str]) -> dict[str, float]:
    """Returns the seconds that each component took when it last ran, not from the cache."""
    if not Path(config.metadata_file).exists():
        return {}
    history = History(config.metadata_file, config.name)
    found: dict[str, float] = {}
    for run in history.runs()[-_REMEMBERED:]:
        components = history.components(run, nodes)
        found |= {one.id: one.seconds for one in components if one.state == "done"}
    return found


def _runs(config: Config) -> set[str]:
    database = config.metadata_file
    return set(History(database, config.name).runs()) if Path(database).exists() else set()


@contextlib.contextmanager
def _only_run(config: Config) -> Iterator[None]:
    """Holds the output folder's lock; the kernel frees it however the process ends."""
    with Path(config.output, ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(f"output: another run is writing to {config.output}") from None
        yield
