"""What the values of all sections have in common: texts, locations, and how they are shown."""

import datetime
import difflib
import json
import math
import re
from collections.abc import Iterable
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

_REMOTE_SCHEMES = ("gs://", "s3://")
_LOCATIONS = "a local path or gs://…"


class ConfigError(ValueError):
    """A mistake in what the user gave: the message names place, finding and what is allowed."""


def is_remote(location: str) -> bool:
    """Tells whether a location is a URI of an object store instead of a local path."""
    return location.startswith(_REMOTE_SCHEMES)


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


def guess(found: str, choices: Iterable[str]) -> str:
    """Ends a message with the choice that was probably meant, if there is one."""
    close = difflib.get_close_matches(found, list(choices), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def shown(value: object) -> str:
    """Shows a value as a config file would hold it, in short."""
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
    """Refuses a name that is blank or stands twice."""
    for number, name in enumerate(names):
        if not name.strip() or name in names[:number]:
            raise ValueError(f"found {shown(name)} twice or blank; allowed: each name once")
    return names


Location = Annotated[
    str,
    AfterValidator(_check_location),
    Field(json_schema_extra={"allowed": _LOCATIONS}),
]
# YAML has lists only; the models hold tuples so that a config cannot be changed.
Texts = Annotated[tuple[str, ...], Field(strict=False)]


class Section(BaseModel):
    """What all sections share: no unknown keys, no silent conversions, no changes."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, validate_default=True
    )
