"""Progress of running work: one thread of a process reports it, another one shows it.

On a cluster, where no thread shows it, the log has the same lines.
"""

from __future__ import annotations

import collections
import threading
from dataclasses import dataclass

from absl import logging


@dataclass(frozen=True)
class Progress:
    """How far a training has come."""

    task: str  # what is trained, such as "head"
    epoch: int  # the running one, from 1
    epochs: int  # in all
    done: float  # share of the steps that are over, in [0, 1]
    seconds_left: float | None  # an estimate, from the pace so far; None before the first step
    metrics: dict[str, float]  # the latest, by name

    def line(self) -> str:
        """Returns the progress in words, such as "finetune: epoch 3/9, 28 %, about 6 min left"."""
        text = f"{self.task}: epoch {self.epoch}/{self.epochs}, {100 * self.done:.0f} %"
        if self.seconds_left is not None:
            text += f", about {duration(self.seconds_left)} left"
        for name in ("accuracy", "val_accuracy"):
            if name in self.metrics:
                text += f", {name} {self.metrics[name]:.3f}"
        return text


def duration(seconds: float) -> str:
    """Returns a duration in words, in a fitting unit."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


_lock = threading.Lock()
_latest: Progress | None = None
_notes: list[str] = []


def note(text: str) -> None:
    """Tells what a person should know while the run goes on, such as a warning; also logs it."""
    logging.warning("%s", text)
    with _lock:
        _notes.append(text)


def new_notes() -> list[str]:
    """Returns what was told since the last call, oldest first."""
    with _lock:
        told, _notes[:] = list(_notes), []
        return told


def tell(progress: Progress | None) -> None:
    """Reports the progress of this process's training; None once no training is running."""
    global _latest  # noqa: PLW0603, there is one training in a process
    with _lock:
        _latest = progress


def latest() -> Progress | None:
    """Returns the latest report; None if no training is running."""
    with _lock:
        return _latest


# The steps whose images components count.
CHECKED, TRANSFORMED, EVALUATED = "checked", "transformed", "evaluated"
_counts: collections.Counter[str] = collections.Counter()


def count(what: str, images: int) -> None:
    """Adds `images` to the count of the step `what`: `CHECKED`, `TRANSFORMED` or `EVALUATED`."""
    with _lock:
        _counts[what] += images


def counted(what: str) -> int:
    """Returns how many images have passed the step `what` in this process."""
    with _lock:
        return _counts[what]
