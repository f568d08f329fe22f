"""What of a traceback a person needs: the cause, and where it happened."""

from __future__ import annotations

import re

_SEPARATORS = (
    "During handling of the above exception, another exception occurred:",
    "The above exception was the direct cause of the following exception:",
)
_HEAD = "Traceback (most recent call last):"
_LINES = 12


def root(traceback: str) -> list[str]:
    """Returns the lines of the exception from which all others came, without empty ones."""
    first = traceback
    for separator in _SEPARATORS:
        first = first.partition(separator)[0]
    return [line.rstrip() for line in first.splitlines() if line.strip()]


def cause(traceback: str) -> str:
    """Returns what went wrong as one line, without the module; "" of an empty traceback."""
    told = [line for line in root(traceback) if not line.startswith((" ", _HEAD))]
    return re.sub(r"^(\w+\.)+(?=\w+:)", "", told[0]) if told else ""


def excerpt(traceback: str) -> list[str]:
    """Returns the cause and then the innermost calls that led to it, a dozen lines in all."""
    lines = root(traceback)
    calls = [line for line in lines if line.startswith(" ")]
    told = [line for line in lines if not line.startswith((" ", _HEAD))]
    return [*told[:_LINES], *calls[-max(0, _LINES - len(told)) :]] if lines else []
