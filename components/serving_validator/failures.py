"""Whose doing a server's failure is, and its story in one line."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

from components import outage
from components.outage import OutageError
from components.serving_validator.effort import Effort

CHARACTERS = 300
_LINES = 3
# What the machine, and not the model, does; as gRPC's names and as TF Serving's HTTP statuses.
_OF_THE_MACHINE = {
    *("CANCELLED", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "ABORTED", "UNAVAILABLE"),
    *("408", "429", "499", "503", "504"),
}
# With this TF Serving ends if a model does not load; older versions write "Not found" for the code.
_NOT_LOADED = re.compile(r"did not become available: .*? due to error: ([A-Za-z_ ]+): ([^\n]*)")


class ModelError(Exception):
    """The model does not load or gives no right answer; the message is a reason to refuse it."""


def failure(code: str, text: str) -> ModelError | OutageError:
    """Returns the error for a code by which a server refuses; the code says whose doing it is.

    Args:
        code: gRPC's name of a status, or an HTTP status.
        text: what the server did, and its own words.
    """
    return OutageError(text) if code in _OF_THE_MACHINE else ModelError(text)


def unloaded(code: str, message: str) -> ModelError | OutageError:
    """Returns the error for a model that does not load; see `failure` for the code."""
    first = message.partition("\n")[0][:CHARACTERS]
    return failure(code, f"the server does not load the model: {code}: {first}")


def end(log: Path) -> ModelError | OutageError:
    """Returns why a server ended before the model was AVAILABLE, by its own words if it has any."""
    found = _NOT_LOADED.search(log.read_text("utf-8", "replace"))
    if found is None:
        return OutageError("the server ended before the model was AVAILABLE")
    return unloaded(found[1].upper().replace(" ", "_"), found[2])


def late(effort: Effort, still: float, bound: float) -> str:
    """Returns why the wait for the model ends; `still` is for how long the server stands still."""
    told = f"the model is not AVAILABLE, and serving.load_seconds is {bound:g}"
    if effort.own < bound:
        return f"{told}: other processes leave the server no processor"
    if 2 * still >= effort.seconds:
        return f"{told}: the server has stood still for {still:.1f} s"
    return f"{told}: the server is still loading"


def story(what: str, effort: Effort, code: int | None, log: Path) -> str:
    """Returns as one line what happened, how far the server came, and its last words.

    Args:
        what: what happened.
        effort: of the server's process.
        code: with which the process ended by itself, negative for a signal; None if it did not.
        log: file of the server's output, whole.
    """
    ended = ""
    if code is not None and code < 0:
        memory = ", as where memory runs out" if -code == signal.SIGKILL else ""
        ended = f"; ended by signal {-code} ({signal.strsignal(-code)}{memory})"
    elif code is not None:
        ended = f"; ended with code {code}"
    lines = [line.strip() for line in log.read_text("utf-8", "replace").splitlines()]
    last = " | ".join([line[-CHARACTERS:] for line in lines if line][-_LINES:])
    return (
        f"{what} (the server: {effort.seconds:.1f} s since its start, {effort.ran:.1f} s of CPU,"
        f" {effort.waited:.1f} s of waiting for a processor{ended}; the machine: load"
        f" {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors); the server's last lines:"
        f" {last or 'none'}; {outage.AGAIN}"
    )
