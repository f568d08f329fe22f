"""Compares two runs: `retrain compare`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from components.evaluator import predictions
from components.evaluator.catalogue import METRICS, ON_THE_PAGE
from components.evaluator.evidence import Interval
from components.evaluator.predictions import Predicted, Predictions
from components.report import bootstrap
from components.report.component import OPTIONS_KEY
from pipeline.config import ConfigError
from pipeline.graph import nodes
from pipeline.history import outcome
from pipeline.history.commit import is_clean
from pipeline.history.metadata import History

_SHOWN = 10
_Index = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Setting:
    """A config key whose values in two runs differ; None for a run whose config lacks the key."""

    key: str
    first: Any
    second: Any


@dataclass(frozen=True)
class Difference:
    """A metric that both runs have.

    Attributes:
        metric: name in the Evaluator's catalogue of metrics.
        first: TFMA's value for the first run, on its own test split.
        second: TFMA's value for the second run, on its own test split.
        interval: confidence interval of the difference second - first, on the test images that
            both runs have; None if no image is in both.
    """

    metric: str
    first: float
    second: float
    interval: Interval | None

    @property
    def reading(self) -> str:
        """Returns whether the second run is "better" or "worse" by the interval, or "not clear"."""
        if self.interval is None or self.interval.low <= 0 <= self.interval.high:
            return "not clear"
        rises, lower_is_better = self.interval.low > 0, METRICS[self.metric].lower_is_better
        return "better" if rises != lower_is_better else "worse"


@dataclass(frozen=True)
class Changed:
    """A test image that only one run predicts right.

    `digest` is its fingerprint, hexadecimal. `name` is its file name, or its place in the span; ""
    if neither run recorded it.
    """

    digest: str
    name: str
    truth: str
    first: str
    second: str


@dataclass(frozen=True)
class Comparison:
    """How two runs differ.

    Attributes:
        runs: ids of the first and the second run.
        settings: the config keys that differ; None if a run's config is not recorded.
        commits: git commit of each run's code; "" if not recorded.
        metrics: the metrics that both runs have, and that are defined in both.
        images: numbers of test images: in the first run, in the second run, and in both.
        broken: images that only the first run predicts right, by the second's score, highest first.
        mended: images that only the second run predicts right, in the same order.
    """

    runs: tuple[str, str]
    settings: tuple[Setting, ...] | None
    commits: tuple[str, str]
    metrics: tuple[Difference, ...]
    images: tuple[int, int, int]
    broken: tuple[Changed, ...]
    mended: tuple[Changed, ...]


def compare(history: History, first: str, second: str) -> Comparison:
    """Compares two runs.

    Args:
        history: the record of the pipeline's runs.
        first: id of a run; each difference is second - first.
        second: id of another run.

    Raises:
        ConfigError: a run was not evaluated, or kept no predictions.
    """
    judged = [_Judged.read(history, run) for run in (first, second)]
    one, other = judged
    rows, others = _common(one.predictions, other.predictions)
    labels = one.predictions.labels[rows]
    found = _rows(one.predictions.candidate, rows), _rows(other.predictions.candidate, others)
    intervals: Mapping[str, Interval] = {}
    if len(rows):
        _, intervals = bootstrap.intervals(labels, *reversed(found))
    right = [model.prediction == labels for model in found]
    order = np.argsort(-found[1].score, kind="stable")

    def changed(chosen: Any) -> tuple[Changed, ...]:
        return tuple(
            Changed(
                digest=one.predictions.digests[rows[row]].hex(),
                name=other.predictions.name(others[row]) or one.predictions.name(rows[row]),
                truth=one.labels[labels[row]],
                first=one.labels[found[0].prediction[row]],
                second=other.labels[found[1].prediction[row]],
            )
            for row in order
            if chosen[row]
        )

    return Comparison(
        runs=(first, second),
        settings=_settings(one.config, other.config),
        commits=(one.commit, other.commit),
        metrics=tuple(
            Difference(name, one.metrics[name], other.metrics[name], intervals.get(name))
            for name in (metric.name for metric in ON_THE_PAGE)
            if name in one.metrics and name in other.metrics
        ),
        images=(len(one.predictions.labels), len(other.predictions.labels), len(rows)),
        broken=changed(right[0] & ~right[1]),
        mended=changed(~right[0] & right[1]),
    )


@dataclass(frozen=True)
class _Judged:
    """What is recorded of a run that was evaluated; `config` is None if the config is not."""

    metrics: Mapping[str, float]
    labels: tuple[str, ...]
    predictions: Predictions
    config: Mapping[str, Any] | None
    commit: str

    @classmethod
    def read(cls, history: History, run: str) -> _Judged:
        card = outcome.read(history, run, nodes.NODES).scorecard
        evaluation = history.output(run, nodes.EVALUATOR, "evaluation")
        found = predictions.read(evaluation.uri) if card and evaluation else None
        if card is None or found is None:
            raise ConfigError(f"run {run}: there are no predictions to compare")
        options = history.parameter(run, nodes.REPORT, OPTIONS_KEY) or {}
        return cls(
            {name: value for name, value in card.metrics.items() if value is not None},
            tuple(score.label for score in card.classes),
            found,
            options.get("config"),
            options.get("commit", ""),
        )


def _common(one: Predictions, other: Predictions) -> tuple[_Index, _Index]:
    """Returns the rows, in `one` and in `other`, of their common images; of copies, the first."""
    _, rows, others = np.intersect1d(
        np.array(one.digests, object), np.array(other.digests, object), return_indices=True
    )
    return rows, others


def _rows(model: Predicted, rows: _Index) -> Predicted:
    names = (field.name for field in dataclasses.fields(Predicted))
    return Predicted(*(getattr(model, name)[rows] for name in names))


def _settings(
    first: Mapping[str, Any] | None, second: Mapping[str, Any] | None
) -> tuple[Setting, ...] | None:
    if first is None or second is None:
        return None
    one, other = dict(_leaves(first)), dict(_leaves(second))
    return tuple(
        Setting(key, one.get(key), other.get(key))
        for key in {**one, **other}
        if one.get(key) != other.get(key)
    )


def _leaves(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in settings.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def as_json(found: Comparison) -> str:
    """Returns the one JSON object that `retrain compare --json` prints."""
    content = dataclasses.asdict(found)
    for plain, one in zip(content["metrics"], found.metrics, strict=True):
        plain["reading"] = one.reading
    return json.dumps(content)


def show(found: Comparison, console: Console) -> None:
    """Prints what differs: config, metrics, images."""
    first, second = found.runs
    console.print(f"A  {first}\nB  {second}\n", highlight=False, markup=False)
    _show_settings(found, console)
    table = Table(box=None, pad_edge=False)
    for heading in ("metric", "A", "B", "B - A", "95 % interval", "B is"):
        table.add_column(heading, justify="left" if heading in ("metric", "B is") else "right")
    for one in found.metrics:
        interval = (
            "" if one.interval is None else f"{one.interval.low:+.4f} … {one.interval.high:+.4f}"
        )
        table.add_row(
            one.metric,
            f"{one.first:.4f}",
            f"{one.second:.4f}",
            f"{one.second - one.first:+.4f}",
            interval,
            one.reading,
        )
    console.print(table, highlight=False)
    of_first, of_second, of_both = found.images
    console.print(
        f"\n{of_both} test images are in both runs (A has {of_first}, B has {of_second}); B gets"
        f" {len(found.broken)} wrong that A gets right, and {len(found.mended)} the other way.",
        highlight=False,
        soft_wrap=True,
    )
    for title, images in (("right -> wrong", found.broken), ("wrong -> right", found.mended)):
        for image in images[:_SHOWN]:
            console.print(
                f"  {title}  {escape(image.name) or image.digest[:12]}  {escape(image.truth)}:"
                f" A says {escape(image.first)}, B says {escape(image.second)}",
                highlight=False,
            )
        if len(images) > _SHOWN:
            console.print(
                f"  {title}  {len(images) - _SHOWN} more; --json has all", highlight=False
            )


def _show_settings(found: Comparison, console: Console) -> None:
    if found.settings is None:
        console.print("The config of a run that did not reach its report is not recorded.\n")
        return
    one, other = found.commits
    if one != other:
        console.print(f"code: {one or 'unknown'} -> {other or 'unknown'}", highlight=False)
    for setting in found.settings:
        values = f"{json.dumps(setting.first)} -> {json.dumps(setting.second)}"
        console.print(f"{setting.key}: {values}", highlight=False, markup=False)
    same = "" if found.settings or one != other else "The config is the same.\n"
    if same and is_clean(one):
        same = "Config and code are the same.\n"
    console.print(same)
