"""Shows how far a run is, from what ML Metadata says of it."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import Console

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
                        status.update(f"{component.id}: {seconds:.0f} s")
                if last:
                    return

    thread = threading.Thread(target=watch, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def line(component: ComponentRun) -> str:
    """Says a component's state and time, such as "done in 3.1 s"."""
    if component.state == "done":
        return f"done in {component.seconds:.1f} s"
    if component.state == "failed":
        return f"failed after {component.seconds:.1f} s"
    return component.state
