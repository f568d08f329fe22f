"""Draws a page as one self-contained HTML file."""

from __future__ import annotations

import datetime
import functools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeGuard

import jinja2
import numpy as np
import yaml
from markupsafe import Markup, escape

from components.evaluator import evidence
from components.evaluator.catalogue import METRICS
from components.evaluator.evidence import Interval, Strength
from components.image_example_gen.intake import Intake
from components.report import charts, pictures
from components.report.gallery import Picture
from components.report.options import Card
from components.report.page import Metric, Page
from components.span_drift.report import DriftReport
from trainer.features import UNFAMILIAR_BELOW

_FOLDER = Path(__file__).parent
_STYLES = ("base.css", "tables.css", "pictures.css", "narrow.css")
_BADGES = {"pushed": "✓ pushed", "refused": "✕ refused", "failed": "! failed"}
# What stands where a number is not defined.
NOTHING = "\N{EN DASH}"
# The opacity of the darkest cell; numbers in a darker cell would be hard to read.
_STRONGEST = 0.45
_MOST_ON_A_PHONE = 8  # classes whose matrix of numbers fits 288 pixels


@dataclass(frozen=True)
class _Strip:
    """The interval of a difference to production, drawn with 0 in the middle; in % of the width."""

    left: float
    width: float
    dot: float
    tone: str
    words: str


def render(page: Page) -> str:
    """Returns the page as HTML, with all text escaped."""
    counts = _class_counts(page.data) if page.data else []
    duplicates = _duplicates(page.data) if page.data else []
    curves = [(f"{one.task}: {one.metric}", Markup(charts.curve(one))) for one in page.curves]
    card = _card(page.card)
    texts = {
        "page": page,
        "css": Markup("\n".join((_FOLDER / name).read_text("utf-8") for name in _STYLES)),
        "badge": _BADGES.get(page.verdict.kind, page.verdict.kind),
        "catalogue": METRICS,
        "unfamiliar_below": UNFAMILIAR_BELOW,
        "strips": _strips(page.metrics),
        "drift": _drift(page.drift),
        "evidence": _evidence(page),
        "small_matrix": _small_matrix(page.matrix),
        "tint": lambda share: round(_STRONGEST * math.sqrt(share), 3),
        "reliability": Markup(charts.reliability(page.bins)) if page.bins else "",
        "curves": curves,
        "class_counts": counts,
        "duplicates": duplicates,
        "longest": max((step.seconds for step in page.steps), default=0) or 1,
        "card": card,
        "unsaid": [title.lower() for title, text in card if not text],
        "how": _how(page.made.config) if page.made else "",
        "config": _as_yaml(page.made.config) if page.made else "",
    }
    template = _template()
    # The links at the top need the sections, which the first rendering determines.
    body = template.render(texts, sections=[])
    return template.render(texts, sections=_sections(body))


def _sections(body: str) -> list[tuple[str, str]]:
    titles = {
        "metrics": "Metrics",
        "mistakes": "Mistakes",
        "suspects": "Labels",
        "classes": "Classes",
        "confusion": "Confusion",
        "reliability": "Reliability",
        "data": "Data",
        "training": "Training",
        "steps": "Time",
        "card": "Model card",
        "made": "Made of",
    }
    return [(id_, title) for id_, title in titles.items() if f'<section id="{id_}">' in body]


@functools.cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "count": lambda number: f"{number:,}",
        "share": _percent,
        "points": _points,
        "figure": _figure,
        "decimal": lambda number: f"{number:.3f}" if _is_defined(number) else NOTHING,
        "between": _between,
        "breakable": _breakable,
        "date": lambda seconds: _utc(seconds).strftime("%-d %b %Y, %H:%M\N{NO-BREAK SPACE}UTC"),
        "iso": lambda seconds: _utc(seconds).isoformat(timespec="seconds"),
        "size": _size,
        "name": lambda path: path.rpartition("/")[2],
    }
    return environment.get_template("page.html.j2")


def _is_defined(number: float | None) -> TypeGuard[float]:
    return number is not None and math.isfinite(number)


def _figure(number: float | None) -> str:
    if not _is_defined(number):
        return NOTHING
    return f"{number:,.4g}" if abs(number) < 1000 else f"{number:,.0f}"


def _percent(share: float | None, digits: int = 2) -> str:
    if not _is_defined(share):
        return NOTHING
    return f"{100 * share:.{digits}f}\N{NO-BREAK SPACE}%"


def _between(interval: Interval) -> str:
    return f"{100 * interval.low:.1f} to {_percent(interval.high, 1)}"


def _breakable(text: str) -> Markup:
    """Lets a line break after a slash and the like, so that no word of a name is cut in two."""
    return Markup(re.sub(r"([/=:_.-]+)", r"\1<wbr>", str(escape(text))))


def _utc(seconds: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)


def _evidence(page: Page) -> tuple[Interval, Strength] | None:
    """Returns the 95 % interval of the accuracy, and how strong this evidence is."""
    if page.evidence is not None:
        return page.evidence.accuracy, page.evidence.strength
    if not page.test_images:
        return None
    interval = evidence.share(page.test_images - page.wrong, page.test_images)
    return interval, evidence.strength(interval)


def _drift(report: DriftReport | None) -> tuple[str, str]:
    """Returns whether the data drifted, in words, and the largest change."""
    if report is None or report.previous is None:
        return "no earlier span to compare with", ""
    if report.images is not None and not report.tests:
        return "too few images to tell", "{} and {}".format(*report.images)
    if not report.changes:
        return f"none since span {report.previous}", ""
    names = [change.feature.rpartition("/")[2] for change in report.changes]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"found since span {report.previous}", f"in {', '.join(names[:3])}{more}"


def _points(difference: float | None) -> str:
    if difference is None or not math.isfinite(difference):
        return NOTHING
    return f"{100 * difference:+.2f}".replace("-", "\N{MINUS SIGN}")


def _size(count: int) -> str:
    size = float(count)
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 10 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def _small_matrix(matrix: Sequence[Sequence[int]]) -> Picture | None:
    """Returns the matrix as a picture, if its numbers are too many for a phone."""
    if len(matrix) <= _MOST_ON_A_PHONE:
        return None
    counts = np.array(matrix, float)
    return pictures.heat_map(counts / np.maximum(1, counts.sum(axis=1, keepdims=True)))


def _strips(metrics: Sequence[Metric]) -> dict[str, _Strip | None]:
    """Scales all differences to one strip width, better to the right; None if there is none."""
    ends = [
        abs(end)
        for metric in metrics
        if metric.difference is not None
        for end in (metric.difference.low, metric.difference.high)
    ]
    reach = max(ends, default=0.0) * 1.05 or 1.0
    return {metric.name: _strip(metric, reach) for metric in metrics}


def _strip(metric: Metric, reach: float) -> _Strip | None:
    if metric.value is None or metric.production is None or metric.difference is None:
        return None
    sign = -1 if METRICS[metric.name].lower_is_better else 1
    low, high = sorted((sign * metric.difference.low, sign * metric.difference.high))
    middle = sign * (metric.value - metric.production)

    def place(value: float) -> float:
        return round(50 + 50 * max(-1.0, min(1.0, value / reach)), 2)

    tone, words = "level", "no clear difference"
    if low > 0 or high < 0:
        tone = words = "better" if low > 0 else "worse"
    return _Strip(place(low), round(place(high) - place(low), 2), place(middle), tone, words)


def _class_counts(data: Intake) -> list[tuple[str, float, list[int]]]:
    """Returns label, bar length in % and images by split of each class, rarest in train first."""
    train = data.classes.get("train", {})
    most = max(train.values(), default=0) or 1
    labels = sorted(train, key=lambda label: train[label])
    return [
        (label, 100 * train[label] / most, [by[label] for by in data.classes.values()])
        for label in labels
    ]


def _duplicates(data: Intake) -> list[str]:
    lines = []
    for kind, copies in (("exact", data.exact), ("near", data.near)):
        if copies.within + copies.across:
            lines.append(
                f"{copies.within + copies.across:,} {kind} duplicates,"
                f" {copies.across:,} of them of an image in another split"
            )
    if data.conflicting:
        lines.append(f"{data.conflicting:,} have another label than the image that they copy")
    if data.not_compared:
        lines.append(
            f"{data.not_compared:,} look like too many others to be compared with all of them"
        )
    return lines


def _card(card: Card) -> list[tuple[str, str]]:
    return [
        ("Intended use", card.intended_use),
        ("Out of scope", card.out_of_scope),
        ("Limits", card.limitations),
        ("Owner", card.owner),
        ("Licence", card.licence),
    ]


def _how(config: Mapping[str, object]) -> str:
    trainer, backbone = config.get("trainer"), config.get("backbone")
    if not isinstance(trainer, dict) or not isinstance(backbone, dict):
        return ""
    return {
        "head": f"a head on the embeddings of {backbone.get('name')}",
        "finetune": f"{backbone.get('name')}, fine-tuned",
        "scratch": "a network that learnt from nothing but these images",
    }.get(str(trainer.get("mode")), "")


def _as_yaml(config: Mapping[str, object]) -> str:
    text: str = yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True)
    return text
