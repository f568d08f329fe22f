"""Shows how a run ended, for a person and as JSON."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from components.evaluator.catalogue import CATALOGUE
from pipeline.graph import nodes
from pipeline.history import failure

if TYPE_CHECKING:
    from components.evaluator.catalogue import Metric
    from components.evaluator.scorecard import Scorecard
    from pipeline.history.outcome import Outcome

# What stands where a number is not defined.
NOTHING = "\N{EN DASH}"
# The newest release of TF Serving; it reads what every TensorFlow up to 2.21 saves.
SERVING_IMAGE = "tensorflow/serving:2.20.0"
_COLOURS = {"pushed": "green", "refused": "yellow", "failed": "red"}


def as_json(outcome: Outcome) -> str:
    """Returns the one JSON object that `retrain run --json` prints."""
    return json.dumps(
        {
            "verdict": outcome.verdict,
            "evidence": _evidence(outcome),
            "run": outcome.run,
            "version": outcome.version,
            "path": outcome.path,
            "metrics": outcome.scorecard.metrics if outcome.scorecard else {},
            "reasons": list(outcome.reasons),
            "components": [
                {
                    "id": component.id,
                    "state": component.state,
                    "seconds": round(component.seconds, 3),
                    "cached": component.cached,
                }
                for component in outcome.components
            ],
            "data": _data(outcome),
            "drift": dataclasses.asdict(outcome.drift) if outcome.drift else None,
            "edge": dataclasses.asdict(outcome.edge) if outcome.edge else None,
            "report": outcome.page,
        }
    )


def show(outcome: Outcome, console: Console) -> None:
    """Prints components, data, metrics by class, verdict, reasons and the next step."""
    console.print(_components(outcome))
    for text in _came_in(outcome):
        console.print(text, highlight=False, markup=False, soft_wrap=True)
    if outcome.scorecard is not None:
        console.print(_classes(outcome))
    if outcome.edge is not None:
        console.print(outcome.edge.sentence(), highlight=False)
    colour = _COLOURS[outcome.verdict]
    first, *more = _headline(outcome)
    console.print(f"[bold {colour}]{outcome.verdict}[/]  {escape(first)}", highlight=False)
    for text in more:
        console.print(f"  {text}", highlight=False, markup=False)
    for reason in outcome.reasons:
        console.print(f"  {reason}", highlight=False, markup=False)
    for text in _traces(outcome):
        console.print(text, highlight=False, markup=False, soft_wrap=True)
    if outcome.page is not None:
        console.print(f"Report: {outcome.page}", highlight=False, markup=False, soft_wrap=True)
    for text in _next(outcome):
        console.print(text, highlight=False, markup=False, soft_wrap=True)


def _data(outcome: Outcome) -> dict[str, Any] | None:
    data = outcome.data
    if data is None:
        return None
    return {
        "span": data.span,
        "records": data.records,
        "clean": dict(data.clean),
        "quarantined": sum(data.quarantined.values()),
        "reasons": dict(data.quarantined),
        "removed_from_train": data.removed,
        "damaged_files": len(data.damaged),
        "exact_duplicates": {"within": data.exact.within, "across": data.exact.across},
        "near_duplicates": {"within": data.near.within, "across": data.near.across},
        "conflicting_labels": data.conflicting,
    }


def _came_in(outcome: Outcome) -> list[str]:
    """Returns a line on the records read, and more on duplicates, damaged files and drift."""
    data = outcome.data
    if data is None:
        return []
    splits = ", ".join(f"{count} {split}" for split, count in data.clean.items())
    quarantined = sum(data.quarantined.values())
    lines = [f"Data: {data.records} records, {splits}, {quarantined} quarantined"]
    if quarantined:
        lines[0] += f" ({data.reasons})"
    copies = data.exact.within + data.exact.across + data.near.within + data.near.across
    if copies:
        lines.append(
            f"  {data.exact.within + data.exact.across} exact and"
            f" {data.near.within + data.near.across} near duplicates,"
            f" {data.exact.across + data.near.across} of them of another split,"
            f" {data.conflicting} with another label; {data.removed} removed from train"
        )
    lines += [
        f"  {one.file}: damaged after {one.records} records: {one.reason}" for one in data.damaged
    ]
    if outcome.drift is not None and outcome.drift.changes:
        lines.append(f"Drift from span {outcome.drift.previous} to span {outcome.drift.span}:")
        lines += [f"  {change.sentence()}" for change in outcome.drift.changes]
    elif outcome.drift is not None and (none := outcome.drift.sentence()):
        lines.append(none)
    return lines


def _components(outcome: Outcome) -> Table:
    table = Table(title="Components", title_justify="left", box=None, pad_edge=False)
    table.add_column("component")
    table.add_column("state")
    table.add_column("seconds", justify="right")
    for component in outcome.components:
        seconds = f"{component.seconds:.1f}" if component.seconds else ""
        table.add_row(component.id, component.state, seconds)
    return table


def _classes(outcome: Outcome) -> Table:
    assert outcome.scorecard is not None
    table = Table(title="Metrics on test, by class", title_justify="left", box=None, pad_edge=False)
    table.add_column("class")
    for name in ("images", "precision", "recall", "F1", "AUC"):
        table.add_column(name, justify="right")
    for score in outcome.scorecard.classes:
        values = (score.precision, score.recall, score.f1, score.auc)
        cells = [NOTHING if value is None else f"{value:.3f}" for value in values]
        table.add_row(Text(score.label), str(score.examples), *cells)
    return table


def _evidence(outcome: Outcome) -> dict[str, Any] | None:
    card = outcome.scorecard
    return dataclasses.asdict(card.evidence) if card and card.evidence else None


def _headline(outcome: Outcome) -> list[str]:
    """Returns what stands first in the verdict: untested classes, then metrics, then evidence."""
    card = outcome.scorecard
    if card is None:
        return [""]
    text = ", ".join(
        _metric(card, metric)
        for metric in CATALOGUE
        if metric.headline and metric.name in card.metrics
    )
    if card.production is not None:
        text += f"; production has accuracy {_figure(card.production['accuracy'])}"
    lines = [text]
    if card.evidence is not None:
        if outcome.verdict == "pushed" and card.evidence.untested:
            lines.insert(0, card.evidence.warning())
        lines.append(f"accuracy on {_images(card.evidence.images)}: {card.evidence.words()}")
    return lines


def _metric(card: Scorecard, metric: Metric) -> str:
    over = card.evidence.means(metric.name) if card.evidence else ""
    text = f"{metric.headline} {_figure(card.metrics[metric.name])}"
    return f"{text} {over}" if over else text


def _figure(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.4f}"


def _images(count: int) -> str:
    return f"{count} test image{'' if count == 1 else 's'}"


def _traces(outcome: Outcome) -> list[str]:
    """Returns the innermost calls of each failed component; empty for any other verdict."""
    if outcome.verdict != "failed":
        return []
    found = []
    for component in outcome.components:
        calls = failure.calls(component.error)
        if calls:
            found += [f"In {component.id}, the innermost call last:", *calls]
    return found


def _next(outcome: Outcome) -> list[str]:
    if outcome.verdict == "pushed" and outcome.path is not None:
        store, _, version = outcome.path.rpartition("/")
        lines = [f"Version {version} is in {outcome.path}"]
        if outcome.pinned is not None and outcome.pinned != outcome.version:
            lines += [
                f"Version {outcome.pinned} is served all the same, until: retrain rollback --clear"
            ]
        return [*lines, "Next, serve it:", f"  {_serving_command(store)}"]
    if outcome.verdict == "refused" and _refused_by(outcome) == nodes.EDGE_GATE:
        return [
            "Nothing was pushed. Next: raise export.float_share or export.calibration_images, take"
            " export.tflite float16, or mend export's bounds."
        ]
    if outcome.verdict == "refused" and outcome.scorecard is not None and outcome.scorecard.blessed:
        return [
            "Nothing was pushed. Next: see the server's log, which lies under"
            " artifacts/serving-validator/blessing, or mend the config's serving section."
        ]
    if outcome.verdict == "refused" and outcome.scorecard is not None:
        return [
            "Nothing was pushed. Next: improve data or training, or mend evaluation.thresholds."
        ]
    if outcome.verdict == "refused":
        return ["Nothing was trained. Next: mend the data, or the config's data section."]
    return [f"Nothing was pushed. The log has the cause: {outcome.log}"]


def _refused_by(outcome: Outcome) -> str | None:
    return next((one.id for one in outcome.components if one.refusal is not None), None)


def _serving_command(store: str) -> str:
    """Returns the command for a TF Serving that follows the store, rollbacks included."""
    follow = f"--model_config_file={store}.config --model_config_file_poll_wait_seconds=1"
    if "://" in store:
        return f"tensorflow_model_server --rest_api_port=8501 {follow}"
    models = store.rpartition("/")[0]
    return f"docker run --rm -p 8501:8501 -v {models}:{models}:ro {SERVING_IMAGE} {follow}"
