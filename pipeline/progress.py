"""Shows how far a run is, from what ML Metadata says of it."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress_bar import ProgressBar
from rich.table import Table

from trainer import progress as training

if TYPE_CHECKING:
    from pipeline.history import ComponentRun

_POLL_SECONDS = 1.0
_FINISHED = ("done", "cached", "failed")


@contextlib.contextmanager
def shown(console: Console, components: Callable[[], Sequence[ComponentRun]]) -> Iterator[None]:
    """Prints a line for each component that finishes, and on a terminal what runs now.

    Args:
        console: where to print.
        components: tells how far each component is; called about once a second, in a thread.
    """
    stop = threading.Event()

    def watch() -> None:
        printed: set[str] = set()
        with console.status("starting") as status:
            while True:
                last = stop.wait(_POLL_SECONDS)
                for component in components():
                    if component.state in _FINISHED and component.id not in printed:
                        printed.add(component.id)
                        console.print(f"  {component.id:<18} {line(component)}", highlight=False)
                    elif component.state == "running":
                        seconds = time.time() - component.started
                        status.update(_running(component.id, seconds, training.latest()))
                if last:
                    return

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
    """Shows on a terminal how many things are done, how many a second, and how long it will take.

    Args:
        console: where to print.
        what: what is being done.
        total: how many there are; None if nobody knows.
        seen: tells how many are done; called about once a second, in a thread.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:.0f} a second"),
        TimeRemainingColumn(),
    )
    stop = threading.Event()
    started = time.monotonic()

    def watch() -> None:
        while True:
            last = stop.wait(_POLL_SECONDS)
            count = seen()
            rate = count / (time.monotonic() - started)
            bar.update(task, completed=count, rate=rate)
            if last:
                return

    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=total, rate=0.0)
        thread = threading.Thread(target=watch, name="progress", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
    console.print(f"{what}: {seen()}, {bar.tasks[0].fields['rate']:.0f} a second", highlight=False)


def _running(component: str, seconds: float, progress: training.Progress | None) -> RenderableType:
    """Says what runs now; of a training, with a bar and the time that is left."""
    text = f"{component}: {seconds:.0f} s"
    if progress is None:
        return text
    row = Table.grid(padding=(0, 1))
    row.add_row(text, ProgressBar(completed=100 * progress.done, width=20), progress.line())
    return row


def line(component: ComponentRun) -> str:
    """Says a component's state and time, such as "done in 3.1 s"."""
    if component.state == "done":
        return f"done in {component.seconds:.1f} s"
    if component.state == "failed":
        return f"failed after {component.seconds:.1f} s"
    return component.state
