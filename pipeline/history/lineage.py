"""What a pushed version was made of, and which versions learnt from a span: `retrain lineage`."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml_metadata.proto import metadata_store_pb2
from rich.console import Console
from rich.markup import escape
from rich.tree import Tree
from tfx.components.example_gen.utils import FINGERPRINT_PROPERTY_NAME, SPAN_PROPERTY_NAME
from tfx.utils import path_utils

from components import model_store
from components.report.component import OPTIONS_KEY
from pipeline.config import Config, ConfigError
from pipeline.graph import nodes
from pipeline.history import outcome, runs
from pipeline.history.metadata import History
from pipeline.history.outcome import Outcome


@dataclass(frozen=True)
class Origin:
    """The provenance of a pushed version; a field that is not known is None or empty.

    Attributes:
        version: number of the version.
        path: folder of the version in the model store, even if it was deleted.
        run: id of the run that pushed the version.
        model: folder of the Trainer's model.
        transform_graph: folder of the transform graph that is part of the model.
        metrics: metric -> value on the test split.
        blessed: whether the model met every threshold.
        span: number of the newest span of images.
        spans: numbers of all spans that came in, the oldest first; `data.window` allows several.
        fingerprint: TFX's fingerprint of the spans' files.
        images: split -> number of images that were not quarantined.
        config: the whole config of the run.
        commit: git commit of the code.
        disagreements: sentences that say where model store and ML Metadata differ.
    """

    version: int
    path: str
    run: str | None = None
    model: str | None = None
    transform_graph: str | None = None
    metrics: Mapping[str, float | None] = dataclasses.field(default_factory=dict)
    blessed: bool | None = None
    span: int | None = None
    spans: tuple[int, ...] = ()
    fingerprint: str | None = None
    images: Mapping[str, int] = dataclasses.field(default_factory=dict)
    config: Mapping[str, Any] | None = None
    commit: str | None = None
    disagreements: tuple[str, ...] = ()


def of_version(config: Config, history: History, version: int) -> Origin:
    """Returns the provenance of a version.

    Raises:
        ConfigError: neither the model store nor ML Metadata knows the version.
    """
    store = config.model_store
    standing = model_store.versions(store)
    pushes = {run: runs.pushed_version(history, run) for run in history.runs()}
    run = next((run for run, pushed in pushes.items() if pushed == version), None)
    if run is None:
        if version not in standing:
            known = sorted({*standing, *(one for one in pushes.values() if one)})
            raise ConfigError(
                f"version {version}: neither {store} nor ML Metadata knows it; known are"
                f" {', '.join(map(str, known)) or 'none'}"
            )
        gap = f"{store} holds version {version}, but no run that ML Metadata knows pushed it"
        return Origin(version, model_store.path(store, version), disagreements=(gap,))
    return _traced(config, history, run, version)


def of_span(config: Config, history: History, span: int) -> list[Origin]:
    """Returns the provenance of each pushed version that learnt from a span, oldest first."""
    found: dict[int, Origin] = {}
    for run in history.runs():
        version = runs.pushed_version(history, run)
        if version is not None and version not in found:
            found[version] = _traced(config, history, run, version)
    return [origin for origin in found.values() if span in origin.spans]


def _traced(config: Config, history: History, run: str, version: int) -> Origin:
    ended = outcome.read(history, run, nodes.NODES)
    model = _uri(history.output(run, nodes.TRAINER, "model"))
    examples = history.output(run, nodes.EXAMPLE_GEN, "examples")
    options = history.parameter(run, nodes.REPORT, OPTIONS_KEY) or {}
    span = _property(examples, SPAN_PROPERTY_NAME)
    newest = ended.data.span if ended.data else int(span) if span else None
    fingerprint = _property(examples, FINGERPRINT_PROPERTY_NAME)
    window = options.get("config", {}).get("data", {}).get("window", 1)
    return Origin(
        version=version,
        path=ended.path or model_store.path(config.model_store, version),
        run=run,
        model=model,
        transform_graph=_uri(history.output(run, nodes.TRANSFORM, "transform_graph")),
        metrics=ended.scorecard.metrics if ended.scorecard else {},
        blessed=ended.scorecard.blessed if ended.scorecard else None,
        span=newest,
        spans=() if newest is None else _spans(newest, window, fingerprint or ""),
        fingerprint=fingerprint,
        images=ended.data.clean if ended.data else {},
        config=options.get("config"),
        commit=options.get("commit") or None,
        disagreements=tuple(_disagreements(config, ended, version, model)),
    )


def _disagreements(config: Config, ended: Outcome, version: int, model: str | None) -> list[str]:
    store = config.model_store
    found = []
    if ended.path is not None and ended.path != model_store.path(store, version):
        found.append(f"ML Metadata says that it was pushed to {ended.path}, not to {store}")
    if version not in model_store.versions(store):
        found.append(
            f"run {ended.run} pushed it, but {store} does not hold it any more; push.keep is"
            f" {config.push.keep}"
        )
    elif model is None or not Path(model).exists():
        found.append("the Trainer's model is gone, so it cannot be compared with the version")
    elif model_store.digest(path_utils.serving_model_path(model)) != model_store.digest(
        model_store.path(store, version)
    ):
        found.append(f"the files in {model_store.path(store, version)} are not those of {model}")
    return found


def _uri(artifact: metadata_store_pb2.Artifact | None) -> str | None:
    return None if artifact is None else artifact.uri


def _property(artifact: metadata_store_pb2.Artifact | None, name: str) -> str | None:
    if artifact is None or name not in artifact.custom_properties:
        return None
    value = artifact.custom_properties[name]
    # TFX writes a span's number as a text or as a number.
    return str(getattr(value, value.WhichOneof("value"))) or None


def _spans(newest: int, window: int, fingerprint: str) -> tuple[int, ...]:
    """Returns a window's spans that had files; `fingerprint` has equally many lines for each."""
    numbers = range(max(0, newest + 1 - window), newest + 1)
    lines = fingerprint.splitlines()
    each = len(lines) // len(numbers)
    return tuple(
        number
        for place, number in enumerate(numbers)
        if not each
        or any("num_files:0," not in line for line in lines[place * each : (place + 1) * each])
    )


def as_json(found: Origin | list[Origin]) -> str:
    """Returns the one JSON object that `retrain lineage --json` prints."""
    if isinstance(found, Origin):
        return json.dumps(dataclasses.asdict(found))
    return json.dumps({"versions": [dataclasses.asdict(origin) for origin in found]})


def show(origin: Origin, console: Console) -> None:
    """Prints a version's provenance as a tree, then where model store and ML Metadata differ."""
    tree = Tree(f"[bold]version {origin.version}[/]  {escape(origin.path)}")
    if origin.run is not None:
        run = tree.add(f"run {escape(origin.run)}")
        run.add(f"code {escape(origin.commit or 'not recorded')}")
        run.add(_config_line(origin))
        model = tree.add(f"model {escape(origin.model or 'not recorded')}")
        if origin.metrics:
            told = "met every bound" if origin.blessed else "missed a bound"
            metrics = model.add(f"evaluated on test: {told}")
            for name, value in origin.metrics.items():
                if name != "example_count":
                    metrics.add(f"{name} {'not defined' if value is None else f'{value:.4f}'}")
        graph = model.add(f"transform graph {escape(origin.transform_graph or 'not recorded')}")
        numbers = ", ".join(map(str, origin.spans)) or "not recorded"
        span = graph.add(f"span{'s' if len(origin.spans) > 1 else ''} {numbers}")
        if origin.images:
            span.add(", ".join(f"{count} {split}" for split, count in origin.images.items()))
        for line in (origin.fingerprint or "").splitlines():
            span.add(escape(line))
    console.print(tree, highlight=False)
    for sentence in origin.disagreements:
        console.print(f"[yellow]disagreement:[/] {escape(sentence)}", highlight=False)


def _config_line(origin: Origin) -> str:
    if origin.config is None:
        return "config not recorded"
    trainer, backbone = origin.config["trainer"], origin.config["backbone"]
    return escape(
        f"config {origin.config['name']}: {trainer['mode']} on {backbone['name']},"
        f" {trainer['epochs']} epochs (--json has all)"
    )


def show_span(span: int, found: list[Origin], console: Console) -> None:
    """Prints the versions that learnt from a span."""
    if not found:
        console.print(f"Span {span} is in no version that was pushed from here.", highlight=False)
        return
    tree = Tree(f"[bold]span {span}[/]")
    for origin in found:
        accuracy = origin.metrics.get("accuracy")
        told = "" if accuracy is None else f", accuracy {accuracy:.4f}"
        branch = tree.add(f"version {origin.version}, run {escape(origin.run or '')}{told}")
        for sentence in origin.disagreements:
            branch.add(f"[yellow]disagreement:[/] {escape(sentence)}")
    console.print(tree, highlight=False)
