"""Writes the HTML page of a run, with state and time of each component: `retrain report`."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from ml_metadata.proto import metadata_store_pb2
from pydantic import ValidationError

from components.production_model import component as production_model
from components.report import gathering, rendering
from components.report.component import DATA_FILE, OPTIONS_KEY, REPORT_KEY
from components.report.gathering import Sources
from components.report.page import Made, Page, Step, Verdict
from pipeline.config import Config, read_labels
from pipeline.graph import nodes
from pipeline.history import failure, outcome
from pipeline.history.metadata import NOT_RUN, ComponentRun, History
from pipeline.history.outcome import Outcome

# Field of `Sources` that is a folder -> node and key of the output in that folder.
_FOLDERS = {
    "examples": (nodes.EXAMPLE_GEN, "examples"),
    "statistics": (nodes.STATISTICS_GEN, "statistics"),
    "drift": (nodes.SPAN_DRIFT, "drift"),
    "transformed": (nodes.TRANSFORM, "transformed_examples"),
    "model_run": (nodes.TRAINER, "model_run"),
    "evaluation": (nodes.EVALUATOR, "evaluation"),
    "serving": (nodes.SERVING_VALIDATOR, "blessing"),
}
_SENTENCES = {
    "refused": "The data or the model was refused on the way, and nothing was pushed.",
    "failed": "The run failed, and nothing was pushed.",
    "interrupted": "The run was interrupted, and nothing was pushed.",
    "unfinished": "The run has not come to its end.",
}


def write(config: Config, history: History, run: str) -> Path:
    """Writes the page of a run below the config's output.

    Args:
        config: the pipeline's config.
        history: the record of the pipeline's runs.
        run: id of the run.

    Returns:
        The path of the page.

    Raises:
        ConfigError: the run ended early, and the labels cannot be read.
    """
    file = Path(config.output, "reports", f"{run}.html")
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".partial")
    partial.write_text(rendering.render(page(config, history, run)), "utf-8")
    partial.replace(file)
    return file


def page(config: Config, history: History, run: str) -> Page:
    """Returns the Report component's page; if there is none, one of what the run left."""
    components = history.components(run, nodes.NODES)
    found = _found(history, run) or _gathered(config, history, run)
    steps = [_step(history, run, one) for one in components if one.state != NOT_RUN]
    return dataclasses.replace(found, run=run, steps=tuple(steps))


def _found(history: History, run: str) -> Page | None:
    made = history.output(run, nodes.REPORT, REPORT_KEY)
    data = Path(made.uri, DATA_FILE) if made is not None else None
    if data is None or not data.exists():
        return None
    try:
        return Page.from_json(data.read_text("utf-8"))
    except ValidationError:
        return None  # another version of the code wrote it


def _gathered(config: Config, history: History, run: str) -> Page:
    folders = {
        key: artifact.uri
        for key, (node, output) in _FOLDERS.items()
        if (artifact := history.output(run, node, output)) is not None
        and Path(artifact.uri).exists()
    }
    ended = outcome.read(history, run, nodes.NODES)
    made = None
    # The run's own labels, if it recorded them: the list may have grown since.
    labels = list(read_labels(config))
    options = history.parameter(run, nodes.REPORT, OPTIONS_KEY)
    if options is not None:
        labels = options["labels"]
        made = Made(options["config"], options["commit"], packages=gathering.packages())
    return gathering.gather(
        Sources(
            **folders,
            production=_version(history.output(run, nodes.PRODUCTION_MODEL, "model")),
            pushed=ended.version,
        ),
        name=config.name,
        run=run,
        labels=labels,
        card=config.card,
        made=made,
        ended=_early_end(ended),
    )


def _early_end(ended: Outcome) -> Verdict | None:
    """Returns the verdict on a run that ended before the Pusher; None if the Pusher finished."""
    pushers = [one for one in ended.components if one.id == nodes.PUSHER]
    if pushers and pushers[0].state in ("done", "cached"):
        return None
    return Verdict(ended.verdict, _SENTENCES[ended.verdict], ended.reasons)


def _version(production: metadata_store_pb2.Artifact | None) -> int | None:
    if production is None:
        return None
    version: int = production.custom_properties[production_model.VERSION_KEY].int_value
    return None if version == production_model.NO_VERSION else version


def _step(history: History, run: str, component: ComponentRun) -> Step:
    folders = [Path(artifact.uri) for artifact in history.outputs(run, component.id).values()]
    there = [folder for folder in folders if folder.exists()]
    return Step(
        id=component.id,
        state=component.state,
        seconds=component.seconds if component.state != "cached" else 0.0,
        size=sum(_bytes(folder) for folder in there) if there else None,
        error="\n".join(failure.excerpt(component.error)),
    )


def _bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
