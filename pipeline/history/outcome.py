"""How a run ended, read from ML Metadata and from what its components wrote."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from components.data_gate.component import DataRefusedError
from components.edge_gate.component import PARITY_FILE, PARITY_KEY, EdgeRefusedError, Parity
from components.evaluator.scorecard import FILE_NAME, Scorecard
from components.image_example_gen import intake
from components.pusher import component as pusher
from components.report.component import PAGE_FILE, REPORT_KEY
from components.serving_validator import component as serving_validator
from components.span_drift import report as span_drift
from components.span_drift.report import DriftReport
from pipeline.history import failure
from pipeline.history.metadata import ComponentRun, History

_REPORT = "report"
# What a component raises to refuse a run; any other error is a failure.
_REFUSALS = (DataRefusedError.__name__, EdgeRefusedError.__name__)


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        verdict: "pushed", "refused" (by data or bounds), "failed" or "unfinished".
        run: the run's id.
        components: every component of the graph, in its order.
        scorecard: what the Evaluator found; None if it was not reached.
        version: the version that stands in the model store, if pushed.
        path: its folder.
        reasons: sentences; empty if pushed.
        log: the file with all that TFX, Beam and TensorFlow logged; "" of past runs.
        data: what came in and what did not; None if that was not reached.
        drift: how the span compares with the one before; None if that was not reached.
        page: the report's file; None if it was not reached.
        edge: how the TensorFlow Lite model compares; None where there is none.
        pinned: the version that a rollback keeps in production; None if the newest is served.
    """

    verdict: str
    run: str
    components: tuple[ComponentRun, ...]
    scorecard: Scorecard | None
    version: int | None
    path: str | None
    reasons: tuple[str, ...]
    log: str
    data: intake.Intake | None = None
    drift: DriftReport | None = None
    page: str | None = None
    edge: Parity | None = None
    pinned: int | None = None


def read(
    history: History,
    run: str,
    nodes: Sequence[str],
    error: Exception | None = None,
    log: str = "",
) -> Outcome:
    """Reads how a run ended.

    Args:
        history: the pipeline's.
        run: the run's id.
        nodes: the graph's node ids, in their order.
        error: what the runner raised, as only the one who ran it knows.
        log: the run's log file.
    """
    components = tuple(history.components(run, nodes))
    unreported: tuple[str, ...] = ()
    if error is not None and _is_decided(components):
        # What was pushed is pushed, whatever became of its report.
        unreported, error = (f"the report could not be made: {_message(error)}",), None
    written = _written(history, run, "evaluator", "evaluation", FILE_NAME)
    scorecard = Scorecard.from_json(written) if written else None
    pushed = history.output(run, "pusher", "pushed_model")
    version = path = None
    verdict, reasons = _unsuccessful(components, error)
    if not verdict and pushed is not None and pushed.custom_properties[pusher.PUSHED_KEY].int_value:
        verdict = "pushed"
        version = int(pushed.custom_properties[pusher.VERSION_KEY].string_value)
        path = pushed.custom_properties[pusher.DESTINATION_KEY].string_value
    elif not verdict:
        verdict = "refused"
        reasons = tuple(miss.sentence() for miss in scorecard.misses) if scorecard else ()
        reasons += _serving_reasons(history, run)
    data = _written(history, run, "example-gen", "examples", intake.FILE_NAME)
    drift = _written(history, run, "span-drift", "drift", span_drift.FILE_NAME)
    parity = _written(history, run, "edge-gate", PARITY_KEY, PARITY_FILE)
    return Outcome(
        verdict,
        run,
        components,
        scorecard,
        version,
        path,
        reasons + unreported,
        log,
        intake.Intake.from_json(data) if data else None,
        DriftReport.from_json(drift) if drift else None,
        _page(history, run),
        Parity(**json.loads(parity)) if parity else None,
    )


def _is_decided(components: Sequence[ComponentRun]) -> bool:
    """Tells whether a run got as far as the push, or the refusal, before the report failed."""
    before = [one for one in components if one.id != _REPORT]
    return bool(before) and before[-1].state in ("done", "cached")


def _message(error: Exception) -> str:
    # Beam says where it was, which the list of components tells better.
    return str(error).partition(" [while running ")[0]


def _page(history: History, run: str) -> str | None:
    artifact = history.output(run, _REPORT, REPORT_KEY)
    file = Path(artifact.uri, PAGE_FILE) if artifact is not None else None
    return str(file) if file is not None and file.exists() else None


def _unsuccessful(
    components: Sequence[ComponentRun], error: Exception | None
) -> tuple[str, tuple[str, ...]]:
    """Returns verdict and reasons of a run that did not reach its end, "" of one that did."""
    components = [one for one in components if one.id != _REPORT]
    failed = [one for one in components if one.state == "failed"]
    if any(failure.cause(one.error).startswith(_REFUSALS) for one in failed):
        return "refused", tuple(line for one in failed for line in failure.message(one.error))
    if failed:
        return "failed", tuple(failure.cause(one.error) or f"in {one.id}" for one in failed)
    if error is not None:  # of no component
        return "failed", tuple(_message(error).splitlines())
    if not components or components[-1].state not in ("done", "cached"):
        return "unfinished", ()
    return "", ()


def _written(history: History, run: str, node: str, key: str, name: str) -> str | None:
    artifact = history.output(run, node, key)
    file = Path(artifact.uri, name) if artifact is not None else None
    # A component that failed leaves its artifact in the database, and perhaps nothing on disk.
    return file.read_text("utf-8") if file is not None and file.exists() else None


def _serving_reasons(history: History, run: str) -> tuple[str, ...]:
    written = _written(
        history,
        run,
        "serving-validator",
        serving_validator.BLESSING_KEY,
        serving_validator.REPORT_FILE,
    )
    reasons = json.loads(written)["reasons"] if written else ()
    return tuple(f"serving: {reason}" for reason in reasons)
