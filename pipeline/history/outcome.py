"""How a run ended, read from ML Metadata and the files of the components."""

import dataclasses
import json
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from components.edge_gate.component import PARITY_FILE, Parity
from components.evaluator.scorecard import FILE_NAME, Scorecard
from components.image_example_gen import intake
from components.pusher import component as pusher
from components.report.component import PAGE_FILE, REPORT_KEY
from components.serving_validator import check as serving_check
from components.serving_validator.component import BLESSING_KEY
from components.span_drift import report as span_drift
from components.span_drift.report import DriftReport
from pipeline.graph import nodes as graph
from pipeline.history import failure
from pipeline.history.metadata import ComponentRun, History

_T = TypeVar("_T")


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        verdict: "pushed", "refused" (by data or bounds), "failed", "interrupted" or
            "unfinished".
        run: the run's id.
        components: state and time of each component, in the order of the graph.
        scorecard: what the Evaluator found; None if the run did not reach the Evaluator.
        version: number of the pushed version; None if nothing was pushed.
        path: folder of that version in the model store; None if nothing was pushed.
        reasons: sentences that say why nothing was pushed; empty if pushed.
        log: path of the file with all that TFX, Beam and TensorFlow printed; "" for past runs.
        data: counts of records read and quarantined; None if the run did not get that far.
        drift: how the span differs from the span before; None if the run did not get that far.
        page: path of the HTML page on the run; None if there is no page.
        edge: how the TensorFlow Lite model agrees with the SavedModel; None if not exported.
        pinned: version that `retrain rollback` keeps in production; None if no version is pinned.
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
    """Reads how a run ended; `error` (from the runner) and `log` are for one just ended."""

    def found(node: str, key: str, name: str, parse: Callable[[str], _T]) -> _T | None:
        file = _file(history, run, node, key, name)
        return parse(file.read_text("utf-8")) if file else None

    components = tuple(_ended(one, error) for one in history.components(run, nodes))
    unreported: tuple[str, ...] = ()
    if error is not None and _is_decided(components):
        # A push stands, even if the report failed.
        unreported, error = (f"the report could not be made: {_message(error)}",), None
    scorecard = found(graph.EVALUATOR, "evaluation", FILE_NAME, Scorecard.from_json)
    pushed = history.output(run, graph.PUSHER, "pushed_model")
    version = path = None
    verdict, reasons = _unsuccessful(components, error)
    if not verdict and pushed is not None and pushed.custom_properties[pusher.PUSHED_KEY].int_value:
        verdict = "pushed"
        version = int(pushed.custom_properties[pusher.VERSION_KEY].string_value)
        path = pushed.custom_properties[pusher.DESTINATION_KEY].string_value
    elif not verdict:
        verdict = "refused"
        reasons = scorecard.sentences if scorecard else ()
        reasons += _serving_sentences(history, run)
    page = _file(history, run, graph.REPORT, REPORT_KEY, PAGE_FILE)
    return Outcome(
        verdict,
        run,
        components,
        scorecard,
        version,
        path,
        reasons + unreported,
        log,
        data=found(graph.EXAMPLE_GEN, "examples", intake.FILE_NAME, intake.Intake.from_json),
        drift=found(graph.SPAN_DRIFT, "drift", span_drift.FILE_NAME, DriftReport.from_json),
        page=str(page) if page else None,
        edge=found(graph.EDGE_GATE, "parity", PARITY_FILE, lambda text: Parity(**json.loads(text))),
    )


def _ended(component: ComponentRun, error: Exception | None) -> ComponentRun:
    """Returns a component as failed if the runner's error ended it unrecorded."""
    # A full disk takes no record of what failed.
    if error is None or component.state != "running":
        return component
    told = "".join(traceback.format_exception(error))
    return dataclasses.replace(component, state="failed", error=told)


def _is_decided(components: Sequence[ComponentRun]) -> bool:
    """Returns whether the model was pushed or refused before the report failed."""
    before = [one for one in components if one.id != graph.REPORT]
    return bool(before) and before[-1].state in ("done", "cached")


def _message(error: Exception) -> str:
    full = failure.full_disk(str(error))
    if full:
        return full
    # Beam appends the name of its step; the list of components shows it better.
    return str(error).partition(" [while running ")[0]


def _unsuccessful(
    components: Sequence[ComponentRun], error: Exception | None
) -> tuple[str, tuple[str, ...]]:
    """Returns verdict and reasons of a run that ended early; ("", ()) if it did not."""
    components = [one for one in components if one.id != graph.REPORT]
    failed = [one for one in components if one.state == "failed"]
    refusals = [one.refusal for one in failed if one.refusal is not None]
    if refusals:
        return "refused", tuple(reason for refusal in refusals for reason in refusal.reasons)
    if any(one.state == "interrupted" for one in components):
        return "interrupted", ()
    if failed:
        return "failed", tuple(failure.cause(one.error) or f"in {one.id}" for one in failed)
    if error is not None:  # raised outside the components
        return "failed", tuple(_message(error).splitlines())
    if not components or components[-1].state not in ("done", "cached"):
        return "unfinished", ()
    return "", ()


def _file(history: History, run: str, node: str, key: str, name: str) -> Path | None:
    artifact = history.output(run, node, key)
    file = Path(artifact.uri, name) if artifact is not None else None
    # A failed component leaves its artifact in the database, even if its files are gone.
    return file if file is not None and file.exists() else None


def _serving_sentences(history: History, run: str) -> tuple[str, ...]:
    blessing = history.output(run, graph.SERVING_VALIDATOR, BLESSING_KEY)
    found = serving_check.read(blessing.uri) if blessing is not None else None
    return found.sentences if found else ()
