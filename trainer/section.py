"""What all sections of the config share: the base model, its kinds of values, and their messages.

A section stands beside the code that uses it. This module loads pydantic only, so that the command
line reports a wrong config at once.
"""

import datetime
import difflib
import json
import math
import re
from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

_REMOTE_SCHEMES = ("gs://", "s3://")
_LOCATIONS = "a local path or gs://…"


def is_remote(location: str) -> bool:
    """Returns whether a location is a URI of an object store; otherwise it is a local path."""
    return location.startswith(_REMOTE_SCHEMES)


def did_you_mean(found: str, choices: Iterable[str]) -> str:
    """Returns a suffix for a message that proposes the nearest choice; "" if none is near."""
    close = difflib.get_close_matches(found, list(choices), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def shown(value: object) -> str:
    """Returns a value as a config file writes it, shortened to 200 characters."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        return "a list" if value else "an empty list"
    if isinstance(value, float) and not math.isfinite(value):
        return f".{value}".replace(".-", "-.")
    if isinstance(value, datetime.date):
        return str(value)
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 200 else f"{text[:199]}…"


def check_unique(names: tuple[str, ...]) -> tuple[str, ...]:
    """Returns the names; raises ValueError if one is blank or repeated."""
    for number, name in enumerate(names):
        if not name.strip() or name in names[:number]:
            raise ValueError(f"found {shown(name)} twice or blank; allowed: each name once")
    return names


def _check_location(value: str) -> str:
    if not value.strip():
        raise ValueError(f"found an empty text; allowed: {_LOCATIONS}")
    if value.startswith("s3://"):
        raise ValueError(
            f"found {shown(value)}; allowed: {_LOCATIONS}, as TensorFlow comes without s3://;"
            " mount the bucket as a folder"
        )
    if "://" in value and not re.match(r"gs://[^/]", value):
        raise ValueError(f"found {shown(value)}; allowed: {_LOCATIONS}")
    return value


Location = Annotated[
    str, AfterValidator(_check_location), Field(json_schema_extra={"allowed": _LOCATIONS})
]
# YAML has lists only; the models hold tuples so that a config is immutable.
Texts = Annotated[tuple[str, ...], Field(strict=False)]


def _join_lines(schema: dict[str, Any]) -> None:
    """Joins the lines of the fields' descriptions, which are docstrings in the source."""
    for key in schema.get("properties", {}).values():
        if "description" in key:
            key["description"] = " ".join(key["description"].split())


class Section(BaseModel):
    """The base of all sections: immutable, without unknown keys or silent conversions.

    The string below a field is its description.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        validate_default=True,
        use_attribute_docstrings=True,
        json_schema_extra=_join_lines,
    )
