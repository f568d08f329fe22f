"""Runs the pipeline on this machine.

Everything heavy is imported here, so whoever imports this module has decided to run.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tfx.orchestration.beam.beam_dag_runner import BeamDagRunner
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.pipeline import Pipeline

from components.data_gate.component import DataRefusedError
from components.edge_gate.component import EdgeRefusedError
from components.evaluator.scorecard import FILE_NAME, Scorecard
from components.image_example_gen import report
from components.pusher import component as pusher
from components.serving_validator import component as serving_validator
from components.span_drift import report as span_drift
from components.span_drift.report import DriftReport
from pipeline import build, schema
from pipeline.config import Config, ConfigError, is_remote
from pipeline.history import NOT_RUN, ComponentRun, History
from pipeline.spans import Span

RUNNERS = {"beam": BeamDagRunner, "local": LocalDagRunner}


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        verdict: "pushed", "refused" (by data or bounds) or "failed".
        run: the run's id.
        components: every component of the graph, in its order.
        scorecard: what the Evaluator found; None if it was not reached.
        version: the version that stands in the model store, if pushed.
        path: its folder.
        reasons: sentences; empty if pushed.
        log: the file with all that TFX, Beam and TensorFlow logged.
        data: what came in and what did not; None if that was not reached.
        drift: how the span compares with the one before; None if that was not reached.
    """

    verdict: str
    run: str
    components: tuple[ComponentRun, ...]
    scorecard: Scorecard | None
    version: int | None
    path: str | None
    reasons: tuple[str, ...]
    log: str
    data: report.Report | None = None
    drift: DriftReport | None = None


def run(
    config: Config,
    span: Span,
    labels: Sequence[str],
    runner: str,
    log: str,
    watch: Callable[
        [Callable[[], Sequence[ComponentRun]]], contextlib.AbstractContextManager[None]
    ],
) -> Outcome:
    """Runs the pipeline to its end.

    Args:
        config: what the user asked for.
        span: see `build.create_pipeline`.
        labels: class names; the index in this list is the class id.
        runner: a key of `RUNNERS`.
        log: the file into which all that is printed goes.
        watch: makes a context that may show the components' progress; it is given a function that
            tells how far they are.

    Raises:
        ConfigError: the output is remote, another run is writing to it, or the backbone's weights
            cannot be had.
        KeyboardInterrupt: the run was interrupted; what it has finished will be re-used.
    """
    if is_remote(config.output):
        raise ConfigError(f"output: found {config.output}; allowed for a run here: a local path")
    Path(config.output).mkdir(parents=True, exist_ok=True)
    with _only_run(config):
        schema_file = schema.write(
            schema.curated(labels, config.evaluation.slices), f"{config.output}/schema"
        )
        graph = _build(config, span, labels, schema_file)
        nodes = [component.id for component in graph.components]
        before = _runs(config)
        error: Exception | None = None
        with watch(lambda: _progress(config, nodes, before)):
            try:
                RUNNERS[runner]().run(graph)
            except Exception as raised:
                if _interrupted(raised):
                    raise KeyboardInterrupt from raised
                # Whatever a component raises is the run's result; the log has the whole of it.
                error = raised
                traceback.print_exception(raised)
        return _outcome(config, nodes, before, error, log)


def _interrupted(error: BaseException | None) -> bool:
    """Tells whether an error is what Beam made of a KeyboardInterrupt in one of its steps."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _build(config: Config, span: Span, labels: Sequence[str], schema_file: str) -> Pipeline:
    # The span that was checked is the one to use, even if another has arrived since.
    data = config.data.model_copy(update={"span": span.number})
    config = config.model_copy(update={"data": data})
    try:
        return build.create_pipeline(config, span, labels, schema_file)
    except (ValueError, FileNotFoundError) as error:  # of the backbone's weights
        raise ConfigError(str(error)) from error


def _outcome(
    config: Config, nodes: Sequence[str], before: set[str], error: Exception | None, log: str
) -> Outcome:
    history = History(build.metadata_file(config), config.name)
    run_id = max(set(history.runs()) - before, default="")
    components = tuple(history.components(run_id, nodes))
    evaluation = history.output(run_id, "evaluator", "evaluation")
    scorecard = None
    if evaluation is not None and error is None:
        scorecard = Scorecard.from_json(Path(evaluation.uri, FILE_NAME).read_text("utf-8"))
    reasons: tuple[str, ...] = ()
    version = path = None
    pushed = history.output(run_id, "pusher", "pushed_model")
    if error is not None:
        # Beam says where it was, which the list of components tells better.
        message = str(error).partition(" [while running ")[0]
        reasons = tuple(message.splitlines())
        verdict = "refused" if isinstance(error, (DataRefusedError, EdgeRefusedError)) else "failed"
    elif pushed is not None and pushed.custom_properties[pusher.PUSHED_KEY].int_value:
        verdict = "pushed"
        version = int(pushed.custom_properties[pusher.VERSION_KEY].string_value)
        path = pushed.custom_properties[pusher.DESTINATION_KEY].string_value
    else:
        verdict = "refused"
        reasons = tuple(miss.sentence() for miss in scorecard.misses) if scorecard else ()
        reasons += _serving_reasons(history, run_id)
    data = _written(history, run_id, "example-gen", "examples", report.FILE_NAME)
    drift = _written(history, run_id, "span-drift", "drift", span_drift.FILE_NAME)
    return Outcome(
        verdict,
        run_id,
        components,
        scorecard,
        version,
        path,
        reasons,
        log,
        report.Report.from_json(data) if data else None,
        DriftReport.from_json(drift) if drift else None,
    )


def _written(history: History, run_id: str, node: str, key: str, name: str) -> str | None:
    artifact = history.output(run_id, node, key)
    file = Path(artifact.uri, name) if artifact is not None else None
    # A component that failed leaves its artifact in the database, and perhaps nothing on disk.
    return file.read_text("utf-8") if file is not None and file.exists() else None


def _serving_reasons(history: History, run_id: str) -> tuple[str, ...]:
    written = _written(
        history,
        run_id,
        "serving-validator",
        serving_validator.BLESSING_KEY,
        serving_validator.REPORT_FILE,
    )
    reasons = json.loads(written)["reasons"] if written else ()
    return tuple(f"serving: {reason}" for reason in reasons)


def _progress(config: Config, nodes: Sequence[str], before: set[str]) -> Sequence[ComponentRun]:
    if not Path(build.metadata_file(config)).exists():
        return [ComponentRun(node, NOT_RUN) for node in nodes]
    history = History(build.metadata_file(config), config.name)
    return history.components(max(set(history.runs()) - before, default=""), nodes)


def _runs(config: Config) -> set[str]:
    database = build.metadata_file(config)
    return set(History(database, config.name).runs()) if Path(database).exists() else set()


@contextlib.contextmanager
def _only_run(config: Config) -> Iterator[None]:
    """Holds the output's lock; the kernel lets go of it when the process ends, however it does."""
    with Path(config.output, ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(f"output: another run is writing to {config.output}") from None
        yield
