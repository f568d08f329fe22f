"""Draws charts as inline SVG with the page's CSS colours, for light and dark mode."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from components.report.page import Bin, Curve

# Matplotlib has no CSS variables; `_svg` replaces these placeholder colours with them.
_INK, _SOFT, _LINE, _FIRST, _SECOND = "#010101", "#020202", "#030303", "#040404", "#050505"
_VARIABLES = {
    _INK: "var(--ink)",
    _SOFT: "var(--soft)",
    _LINE: "var(--line)",
    _FIRST: "var(--first)",
    _SECOND: "var(--second)",
}
# As wide as a phone, so that chart and page have the same text size; in inches of 72 points.
_WIDTH, _HEIGHT = 4.6, 3.1
_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "report",
    "font.size": 10,
    "text.color": _INK,
    "axes.edgecolor": _LINE,
    "axes.labelcolor": _SOFT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": _LINE,
    "grid.linewidth": 0.6,
    "xtick.color": _LINE,
    "ytick.color": _LINE,
    "xtick.labelcolor": _SOFT,
    "ytick.labelcolor": _SOFT,
    "legend.frameon": False,
    "lines.linewidth": 2,
}


def reliability(bins: Sequence[Bin]) -> str:
    """Returns an SVG of accuracy over score, with the diagonal on which both are equal."""
    most = max(one.images for one in bins)
    with _figure() as (figure, axes):
        axes.plot([0, 1], [0, 1], color=_SOFT, linewidth=1, dashes=(4, 3))
        for one in bins:
            ends = [one.interval.low, one.interval.high]
            axes.plot([one.score] * 2, ends, color=_FIRST, linewidth=1.2, zorder=2)
        scores, accuracies = [one.score for one in bins], [one.accuracy for one in bins]
        sizes = [12 + 130 * one.images / most for one in bins]
        axes.scatter(scores, accuracies, s=sizes, color=_FIRST, zorder=3)
        axes.set(
            xlim=(-0.02, 1.03), ylim=(-0.02, 1.03), xlabel="score", ylabel="share that is right"
        )
        return _svg(figure, "Reliability diagram: share that is right over score")


def curve(one: Curve) -> str:
    """Returns an SVG of a metric over the epochs, for train and val."""
    with _figure() as (figure, axes):
        for name, color, dashes in (("train", _SECOND, (4, 2)), ("val", _FIRST, (1, 0))):
            values = one.values.get(name, ())
            epochs = range(1, len(values) + 1)
            marker = "o" if len(values) == 1 else None
            axes.plot(epochs, values, color=color, dashes=dashes, label=name, marker=marker)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set(xlabel="epoch")
        axes.legend()
        return _svg(figure, f"{one.task}: {one.metric} by epoch")


@contextmanager
def _figure() -> Iterator[tuple[Figure, Axes]]:
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH, _HEIGHT), layout="constrained")
        figure.patch.set_alpha(0)
        axes = figure.add_subplot()
        axes.patch.set_alpha(0)
        yield figure, axes


def _svg(figure: Figure, title: str) -> str:
    """Returns a figure as an SVG element with a title for screen readers."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Title": title})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    for color, variable in _VARIABLES.items():
        svg = svg.replace(color, variable)
    svg = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", svg)
    # Matplotlib uses the same ids in each figure, but ids must be unique on a page.
    prefix = re.sub(r"\W+", "-", title)
    svg = re.sub(r'\bid="', f'id="{prefix}-', svg)
    svg = re.sub(r'href="#', f'href="#{prefix}-', svg)
    svg = re.sub(r"url\(#", f"url(#{prefix}-", svg)
    return re.sub(r"^<svg", '<svg role="img"', svg)
