"""How much of its time a process could compute, as Linux's scheduler counts it.

A busy machine slows a process, and does not change what the process does with its own time.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Effort:
    """What a process did in some time.

    Attributes:
        seconds: the length of the time.
        ran: seconds of CPU that its threads took, in sum.
        waited: seconds for which its threads were ready but had no processor, in sum.
    """

    seconds: float
    ran: float = 0.0
    waited: float = 0.0

    def __sub__(self, earlier: Effort) -> Effort:
        """Returns what the process did since an earlier reading of the same meter."""
        return Effort(
            self.seconds - earlier.seconds, self.ran - earlier.ran, self.waited - earlier.waited
        )

    @property
    def starved(self) -> float:
        """Seconds that the process lost: it was ready, and others had the processors."""
        if self.waited <= 0:
            return 0.0
        # Threads can wait side by side; then the time is lost in proportion.
        return min(self.waited, self.seconds * self.waited / (self.ran + self.waited))

    @property
    def own(self) -> float:
        """Seconds that about remain on a machine with nothing else to do."""
        return self.seconds - self.starved

    @property
    def busy(self) -> float:
        """Share of the time for which the process computed or would have; 1 is one thread."""
        return (self.ran + self.waited) / self.seconds if self.seconds > 0 else 0.0


class Meter:
    """Reads the effort of a process; without Linux's /proc, all of its time counts as its own."""

    def __init__(self, pid: int) -> None:
        """Starts at the process's age, which should be zero or belong to the caller."""
        self._tasks = Path(f"/proc/{pid}/task")
        self._start = time.monotonic()
        # Thread -> nanoseconds on a processor and ready without one; a thread that ends stays.
        self._threads: dict[str, tuple[int, int]] = {}

    def read(self) -> Effort:
        """Returns the effort so far; of a process that ended, what the last reading found."""
        with contextlib.suppress(OSError):
            for task in self._tasks.iterdir():
                with contextlib.suppress(OSError):
                    ran, waited, _ = map(int, (task / "schedstat").read_bytes().split())
                    self._threads[task.name] = ran, waited
        totals = [sum(thread[kind] for thread in self._threads.values()) / 1e9 for kind in (0, 1)]
        return Effort(time.monotonic() - self._start, *totals)
