"""Shows the progress of a run, read from ML Metadata."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from rich import progress as bars
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table

from pipeline.graph.nodes import COUNTED, TRAINING
from trainer import progress as training

if TYPE_CHECKING:
    from pipeline.history.metadata import ComponentRun

_POLL_SECONDS = 1.0
_FINISHED = ("done", "cached", "failed", "interrupted")


def spinning(console: Console, text: str) -> Live:
    """Returns a context manager that shows a spinner on a terminal.

    The output of components goes into the log meanwhile; rich's own `Console.status` would redirect
    it to the terminal.
    """
    return Live(
        _spinner(text),
        console=console,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )


def _spinner(text: RenderableType) -> Spinner:
    return Spinner("dots", text, style="status.spinner")


@contextlib.contextmanager
def shown(console: Console, components: Callable[[], Sequence[ComponentRun]]) -> Iterator[None]:
    """Prints a line for each component that finishes, and what components have to tell.

    A terminal also shows what runs now.

    A thread calls `components`, which returns their current states, about once a second.
    """
    printed: set[str] = set()

    def look() -> None:
        found = components()
        for component in found:
            if component.state in _FINISHED and component.id not in printed:
                printed.add(component.id)
                console.print(f"  {component.id:<18} {line(component)}", highlight=False)
        for note in training.new_notes():
            console.print(f"  {note}", highlight=False, markup=False, soft_wrap=True)
        live.update(_spinner(_status(found, time.time())))

    with spinning(console, "starting") as live, _repeated(look):
        yield


@contextlib.contextmanager
def _repeated(look: Callable[[], None]) -> Iterator[None]:
    """Calls a function about once a second in a thread, and once more at the end."""
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(_POLL_SECONDS):
            look()
        look()

    thread = threading.Thread(target=watch, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@contextlib.contextmanager
def counted(
    console: Console, what: str, total: int | None, seen: Callable[[], int]
) -> Iterator[None]:
    """Shows count, rate and time left on a terminal; prints count and rate at the end.

    A thread calls `seen` for the count about once a second; `total` is None if it is unknown.
    """
    columns = (
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.MofNCompleteColumn(),
        bars.TextColumn("{task.fields[rate]:.0f} a second"),
        bars.TimeRemainingColumn(),
    )
    started = time.monotonic()

    def look() -> None:
        count = seen()
        bar.update(task, completed=count, rate=count / (time.monotonic() - started))

    hidden = not console.is_terminal  # it would leave an empty line
    with bars.Progress(*columns, console=console, transient=True, disable=hidden) as bar:
        task = bar.add_task(what, total=total, rate=0.0)
        with _repeated(look):
            yield
    console.print(f"{what}: {seen()}, {bar.tasks[0].fields['rate']:.0f} a second", highlight=False)


def _status(components: Sequence[ComponentRun], now: float) -> RenderableType:
    """Returns a line for each running component, and one for the time left of the whole run."""
    rows: list[RenderableType] = [
        _running(one.id, now - one.started, training.latest())
        for one in components
        if one.state == "running"
    ]
    left = seconds_left(components, now)
    if left is not None:
        rows.append(f"the whole: about {training.duration(left)} left, as in earlier runs")
    return Group(*rows) if rows else "starting"


def seconds_left(components: Sequence[ComponentRun], now: float) -> float | None:
    """Estimates the seconds left of a run from the durations of its components in earlier runs.

    None if nothing is left to run, or if a component that is left has never run here. A component
    whose outputs will come from the cache counts as if it ran.
    """
    ahead = [one for one in components if one.state not in _FINISHED]
    if not ahead or not all(one.usual for one in ahead):
        return None
    return sum(
        max(0.0, one.usual - (now - one.started if one.state == "running" else 0.0))
        for one in ahead
    )


def _running(component: str, seconds: float, progress: training.Progress | None) -> RenderableType:
    """Returns a running component's progress: counted images, or a bar and the time left."""
    text = f"{component}: {seconds:.0f} s"
    images = training.counted(COUNTED[component]) if component in COUNTED else 0
    if images:
        rate = images / max(1.0, seconds)
        return f"{text}, {images:,} images {COUNTED[component]}, {rate:.0f} a second"
    if progress is None or component not in TRAINING:
        return text
    row = Table.grid(padding=(0, 1))
    row.add_row(text, ProgressBar(completed=100 * progress.done, width=20), progress.line())
    return row


def line(component: ComponentRun) -> str:
    """Returns a component's state and time as text, such as "done in 3.1 s"."""
    if component.state == "done":
        return f"done in {component.seconds:.1f} s"
    if component.state in ("failed", "interrupted"):
        return f"{component.state} after {component.seconds:.1f} s"
    return component.state
