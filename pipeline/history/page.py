"""Writes the HTML page of a run, with state and time of each component: `retrain report`."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path

from ml_metadata.proto import metadata_store_pb2
from pydantic import ValidationError

from components import model_config, model_store
from components.production_model import component as production_model
from components.pusher import component as pusher
from components.report import gathering, rendering
from components.report.component import DATA_FILE, OPTIONS_KEY, REPORT_KEY
from components.report.gathering import Sources
from components.report.page import Made, Page, Served, Step, Verdict
from pipeline.config import Config, read_labels
from pipeline.graph import nodes
from pipeline.history import failure, outcome, suspects
from pipeline.history.metadata import NOT_RUN, ComponentRun, History
from pipeline.history.outcome import Outcome

# Field of `Sources` that is a folder -> node and key of the output in that folder.
_FOLDERS = {
    "examples": (nodes.EXAMPLE_GEN, "examples"),
    "statistics": (nodes.STATISTICS_GEN, "statistics"),
    "drift": (nodes.SPAN_DRIFT, "drift"),
    "transformed": (nodes.TRANSFORM, "transformed_examples"),
    "model_run": (nodes.TRAINER, "model_run"),
    "model": (nodes.TRAINER, "model"),
    "evaluation": (nodes.EVALUATOR, "evaluation"),
    "serving": (nodes.SERVING_VALIDATOR, "blessing"),
}
# The same, in words, for what the page lacks without it.
_WORDS = {
    "examples": "the examples",
    "statistics": "the statistics of the data",
    "drift": "the drift report",
    "transformed": "the transformed examples",
    "model_run": "the logs of the training",
    "model": "the trained model",
    "evaluation": "the evaluation",
    "serving": "the results of the trial of serving",
}
_SECTION = re.compile(r'<section id="([\w-]+)"')
_PICTURE = '<img src="data:image/'
_SENTENCES = {
    "refused": "The data or the model was refused on the way, and nothing was pushed.",
    "failed": "The run failed, and nothing was pushed.",
    "interrupted": "The run was interrupted, and nothing was pushed.",
    "unfinished": "The run has not come to its end.",
}


@dataclass(frozen=True)
class Written:
    """What became of a page.

    Attributes:
        path: the page's file.
        kept: whether an older page stays, because it shows more than could be shown now.
        gone: the artifacts of the run that no longer exist, in words.
    """

    path: Path
    kept: bool
    gone: tuple[str, ...]

    def sentence(self) -> str:
        """Returns which artifacts are gone, and what follows; "" if none is."""
        if not self.gone:
            return ""
        effect = "the earlier page stays, which shows more" if self.kept else "the page lacks them"
        return f"These artifacts of the run are gone, so {effect}: {', '.join(self.gone)}."


def write(config: Config, history: History, run: str) -> Written:
    """Writes the page of a run below the config's output.

    A page that shows more than the run's artifacts can still show is left as it is.

    Args:
        config: the pipeline's config.
        history: the record of the pipeline's runs.
        run: id of the run.

    Returns:
        The file, and whether an earlier page was kept.

    Raises:
        ConfigError: the run ended early, and the labels cannot be read.
    """
    file = Path(config.output, "reports", f"{run}.html")
    file.parent.mkdir(parents=True, exist_ok=True)
    made = page(config, history, run)
    text = rendering.render(made)
    kept = bool(made.gone) and file.exists() and _is_poorer(text, file.read_text("utf-8"))
    if not kept:
        partial = file.with_suffix(".partial")
        partial.write_text(text, "utf-8")
        partial.replace(file)
    return Written(file, kept, made.gone)


def _is_poorer(text: str, earlier: str) -> bool:
    """Returns whether a page lacks a section or pictures that an earlier page of the run has."""
    lost = set(_SECTION.findall(earlier)) - set(_SECTION.findall(text))
    return bool(lost) or text.count(_PICTURE) < earlier.count(_PICTURE)


def page(config: Config, history: History, run: str) -> Page:
    """Returns the Report component's page; if there is none, one of what the run left."""
    components = history.components(run, nodes.NODES)
    found = _found(history, run) or _gathered(config, history, run)
    steps = [_step(history, run, one) for one in components if one.state != NOT_RUN]
    return dataclasses.replace(
        found,
        run=run,
        steps=tuple(steps),
        date=max((one.started for one in components), default=0.0) or found.date,
        served=_served(config, history, run) or found.served,
    )


def _served(config: Config, history: History, run: str) -> Served | None:
    """Returns the version that is served by now; None if there is none, or it lies elsewhere."""
    store = config.model_store
    if "://" in store:
        return None  # a page must not wait for a network
    pinned = model_config.pinned(store)
    version = model_store.newest(store) if pinned is None else pinned
    if version is None:
        return None
    pushed = history.output(run, nodes.PUSHER, "pushed_model")
    number = pushed.custom_properties[pusher.VERSION_KEY].string_value if pushed else ""
    return Served(version, gathering.since(version), number == str(version), pinned is not None)


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
    outputs = {key: history.output(run, node, output) for key, (node, output) in _FOLDERS.items()}
    # The artifact of a component that failed never had files.
    states = {one.id: one.state for one in history.components(run, nodes.NODES)}
    known = {
        key: artifact.uri
        for key, artifact in outputs.items()
        if artifact is not None and states[_FOLDERS[key][0]] in ("done", "cached")
    }
    folders = {key: uri for key, uri in known.items() if _has_files(Path(uri))}
    ended = outcome.read(history, run, nodes.NODES)
    made = None
    # The run's own labels, if it recorded them: the list may have grown since.
    labels = list(read_labels(config))
    options = history.parameter(run, nodes.REPORT, OPTIONS_KEY)
    if options is not None:
        labels = options["labels"]
        made = Made(options["config"], options["commit"], packages=gathering.packages())
    found = gathering.gather(
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
        suspected=suspects.read(history, run),
    )
    gone = tuple(_WORDS[key] for key in known if key not in folders)
    return dataclasses.replace(found, gone=gone)


def _has_files(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


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
