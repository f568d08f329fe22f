"""The messages about a wrong config: one line for each key, derived from the models."""

import datetime
import difflib
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from pipeline.config import keys
from trainer.section import shown

# YAML reads unquoted words such as yes, 12 or 2024-01-01 as these types.
_LIKE_TEXT = (bool, int, float, datetime.date)


def lines(error: ValidationError, origin: str, overridden: Collection[str]) -> Iterator[str]:
    """Yields one line for each wrong key: where it stands, what was found, what is allowed.

    Args:
        error: the error that pydantic raised for a `Config`.
        origin: where the settings come from, such as the file's name.
        overridden: the dotted keys that `--set` gave; their lines start with `--set`.
    """
    told = set()
    for detail in error.errors(include_url=False):
        parents, found_at = _place(detail["loc"])
        if detail["type"] in ("extra_forbidden", "invalid_key"):
            unknown = str(detail["loc"][-1])
            message = f"unknown key; {_proposal(unknown, parents, found_at)}"
            parents.append(unknown)
        else:
            message = _message(detail, found_at)
        key = ".".join(parents) or "top level"
        # Each member of a union adds an error of its own about the same key.
        if key in told:
            continue
        told.add(key)
        # An override of a key can make its section wrong; one of a section, each of its keys.
        by_override = any(
            f"{key}.".startswith(f"{other}.") or other.startswith(f"{key}.") for other in overridden
        )
        yield f"{'--set' if by_override else origin}: {key}: {message}"


def _place(location: Sequence[str | int]) -> tuple[list[str], keys.Schema]:
    """Returns the config keys in pydantic's error location, and the schema of the last one.

    Parts of the location after the last key, such as the member of a union, are left out.
    """
    path: list[str] = []
    found_at: keys.Schema = keys.schema()
    for part in location:
        item = keys.items(found_at)
        if isinstance(part, int) and item is not None:
            path[-1] += f"[{part}]"
            found_at = item
            continue
        child = keys.properties(found_at).get(str(part)) or keys.values(found_at)
        if child is None:
            break
        path.append(str(part))
        found_at = child
    return path, found_at


def _message(detail: Mapping[str, Any], found_at: keys.Schema) -> str:
    if detail["type"] == "missing":
        return f"missing; needed: {keys.allowed(found_at)}"
    if detail["type"] == "value_error":
        return str(detail["ctx"]["error"])
    found, allowed = detail["input"], keys.allowed(found_at)
    # If a mapping is allowed, its keys are at fault: YAML reads digits as a number.
    inside = found if isinstance(found, dict) and "mapping" in allowed else ()
    other = next((key for key in inside if not isinstance(key, str)), None)
    if other is not None:
        return (
            f"found the key {shown(other)}, which is no text; allowed: {allowed};"
            ' a name of digits needs quotes, as in {"0": 2}'
        )
    message = f"found {shown(found)}; allowed: {allowed}"
    if detail["type"] == "string_type" and isinstance(found, _LIKE_TEXT):
        message += "; put it in quotes if it is meant as text"
    return message


def _proposal(unknown: str, parents: Sequence[str], parent: keys.Schema) -> str:
    """Returns a hint: a similar key of the section, the same key elsewhere, or all allowed keys."""
    siblings = list(keys.properties(parent))
    close = difflib.get_close_matches(unknown, siblings, n=1)
    if close:
        return f"did you mean {'.'.join([*parents, close[0]])}?"
    elsewhere = [key for key in keys.all_keys(keys.schema()) if key.split(".")[-1] == unknown]
    if elsewhere:
        return f"did you mean {elsewhere[0]}?"
    return f"allowed: {', '.join(siblings)}"
