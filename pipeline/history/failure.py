"""The part of a traceback that a person needs: the cause, and where it happened."""

import re
from pathlib import PurePath

_SEPARATORS = re.compile(
    "During handling of the above exception, another exception occurred:"
    "|The above exception was the direct cause of the following exception:"
)
_HEAD = "Traceback (most recent call last):"
# An outage is worded for people alone, so its class goes too.
_OUTAGE = re.compile(r"^components\.outage\.OutageError: ")
_MODULE = re.compile(rf"{_OUTAGE.pattern}|^(\w+\.)+(?=\w+(:|$))")
# This project words its own errors for people, so they are shown instead of their causes.
_OURS = re.compile(r"^(components|kubeflow|pipeline|serving|trainer)\.")
_LINES = 12
_CHARACTERS = 400
_DETAILS = re.compile(r'\s*details = "(.+)"')
# As Python says it ("[Errno 28] …: '/a/file'"), and as TensorFlow says it ("/a/file; …").
_FULL = re.compile(
    r"(?:(?P<before>/[^\s;]+); )?No space left on device(?:: '(?P<after>[^']+)')?"
    r"|database or disk is full"
)


def cause(traceback: str) -> str:
    """Returns the error as one line, without its class's module; "" if there is no traceback."""
    full = full_disk(traceback)
    if full:
        return full
    told = _told(traceback)
    first = _MODULE.sub("", told[0]) if told else ""
    # Some libraries end the first line with a colon, and say below it what is wrong.
    return _condensed([first, *told[1:]]) if first.endswith(":") else first


def full_disk(text: str) -> str:
    """Returns what to do about an error that is due to a full disk; "" for any other error."""
    found = _FULL.search(text)
    if found is None:
        return ""
    file = found["before"] or found["after"]
    return no_space(str(PurePath(file).parent) if file else "")


def no_space(folder: str = "") -> str:
    """Returns what to do about a disk that is full; `folder` is on it, "" if that is not known."""
    return f"no space left{f' in {folder}' if folder else ''}; free some and run again"


def interrupted(error: BaseException | None) -> bool:
    """Returns whether an error is an interruption, or one that a step of Beam wrapped."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _condensed(lines: list[str]) -> str:
    """Returns an error of several lines as one; of a gRPC error, the details."""
    detail = next((found for line in lines if (found := _DETAILS.match(line))), None)
    if detail is not None:
        return f"{lines[0].partition(':')[0]}: {detail[1]}"
    return " ".join(" ".join(lines).split())[:_CHARACTERS]


def calls(traceback: str) -> list[str]:
    """Returns a traceback's last lines about calls, the innermost last, at most a dozen.

    There are none of an outage, which is not the code's doing.
    """
    meant = _meant(traceback)
    if any(map(_OUTAGE.match, meant)):
        return []
    return [line for line in meant if line.startswith(" ")][-_LINES:]


def excerpt(traceback: str) -> list[str]:
    """Returns the error's lines, then the innermost calls; at most a dozen lines in all."""
    told = [_MODULE.sub("", line) for line in _told(traceback)][:_LINES]
    room = _LINES - len(told)
    return [*told, *(calls(traceback)[-room:] if room else ())]


def _told(traceback: str) -> list[str]:
    return [line for line in _meant(traceback) if not line.startswith((" ", _HEAD))]


def _meant(traceback: str) -> list[str]:
    """Returns the lines of one exception of a chain: the first of this project's, or the first."""
    chain = [
        [line.rstrip() for line in part.splitlines() if line.strip()]
        for part in _SEPARATORS.split(traceback)
    ]
    ours = (part for part in chain if any(_OURS.match(line) for line in part))
    return next(ours, chain[0])
