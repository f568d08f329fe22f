"""What is said of a wrong config: one line for each key, made from the models' JSON schema."""

import datetime
import difflib
import functools
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from pipeline.config.root import Config
from trainer.section import shown

# What YAML makes of unquoted words such as yes, 12 or 2024-01-01.
_LIKE_TEXT = (bool, int, float, datetime.date)


def allowed(schema: Mapping[str, Any]) -> str:
    """Says in words which values a JSON schema of a field allows."""
    schema = _dereferenced(schema)
    if "allowed" in schema:
        return str(schema["allowed"])
    if "anyOf" in schema:
        return " or ".join(allowed(choice) for choice in schema["anyOf"])
    if "const" in schema or "enum" in schema:
        return " or ".join(schema.get("enum", [schema.get("const")]))
    kind = schema["type"]
    if kind == "object":
        return f"a mapping with {', '.join(schema['properties'])}"
    if kind == "array":
        return f"a list of {allowed(schema['items'])}"
    words = {
        "boolean": "true or false",
        "integer": "a whole number",
        "null": "null",
        "number": "a number",
        "string": "text",
    }
    bounds = {
        "minimum": "from",
        "exclusiveMinimum": "above",
        "maximum": "up to",
        "exclusiveMaximum": "and below",
    }
    limits = [f"{word} {schema[bound]}" for bound, word in bounds.items() if bound in schema]
    return " ".join([words[kind], *limits])


@functools.cache
def schema() -> dict[str, Any]:
    """Returns the JSON schema of `Config`: its keys with descriptions, ranges and defaults."""
    return Config.model_json_schema()


def properties(parent: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Returns the JSON schemas of the keys of a mapping; none if the schema is of something else.

    A mapping that may be null counts as one.
    """
    parent = _dereferenced(parent)
    for choice in parent.get("anyOf", []):
        parent = _dereferenced(choice) if "$ref" in choice else parent
    return {key: dict(_dereferenced(child)) for key, child in parent.get("properties", {}).items()}


def _values(parent: Mapping[str, Any]) -> dict[str, Any] | None:
    """Returns the JSON schema of what a mapping of free names holds; None of anything else."""
    choices = [choice for choice in parent.get("anyOf", [parent]) if choice.get("type") != "null"]
    # Of several, pydantic says which it tried before it names a key.
    values = choices[0].get("additionalProperties") if len(choices) == 1 else None
    return dict(_dereferenced(values)) if isinstance(values, dict) else None


def _dereferenced(part: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follows a reference into the schema's definitions; keys beside it win."""
    if "$ref" not in part:
        return part
    definition: dict[str, Any] = schema()["$defs"][part["$ref"].removeprefix("#/$defs/")]
    return {**definition, **part}


def lines(error: ValidationError, origin: str, overridden: Collection[str]) -> Iterator[str]:
    """Yields one line for each wrong key: where it stands, what was found, what is allowed."""
    told = set()
    for detail in error.errors(include_url=False):
        unknown = detail["type"] in ("extra_forbidden", "invalid_key")
        location = detail["loc"]
        keys: list[str] = []
        found_at = schema()
        for part in location:
            items = _dereferenced(found_at).get("items")
            if isinstance(part, int) and items is not None:
                keys[-1] += f"[{part}]"
                found_at = dict(_dereferenced(items))
                continue
            # What follows the last key is pydantic's own, such as a member of a union.
            child = properties(found_at).get(str(part)) or _values(found_at)
            if child is None:
                break
            keys.append(str(part))
            found_at = child
        if unknown:
            message = f"unknown key; {_allowed_keys(str(location[-1]), keys, found_at)}"
            keys.append(str(location[-1]))
        elif detail["type"] == "missing":
            message = f"missing; needed: {allowed(found_at)}"
        elif detail["type"] == "value_error":
            message = str(detail["ctx"]["error"])
        else:
            message = f"found {shown(detail['input'])}; allowed: {allowed(found_at)}"
            if detail["type"] == "string_type" and isinstance(detail["input"], _LIKE_TEXT):
                message += "; put it in quotes if it is meant as text"
        key = ".".join(keys) or "top level"
        # Each member of a union adds an error of its own about the same key.
        if key in told:
            continue
        told.add(key)
        # A section can be wrong as a whole because of an override of one of its keys.
        by_override = any(
            f"{key}.".startswith(f"{other}.") or other.startswith(f"{key}.") for other in overridden
        )
        yield f"{'--set' if by_override else origin}: {key}: {message}"


def _allowed_keys(key: str, parents: Sequence[str], parent: Mapping[str, Any]) -> str:
    siblings = list(properties(parent))
    close = difflib.get_close_matches(key, siblings, n=1)
    if close:
        return f"did you mean {'.'.join([*parents, close[0]])}?"
    elsewhere = [full for full in _all_keys(schema()) if full.split(".")[-1] == key]
    if elsewhere:
        return f"did you mean {elsewhere[0]}?"
    return f"allowed: {', '.join(siblings)}"


def _all_keys(parent: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, child in properties(parent).items():
        yield f"{prefix}{key}"
        yield from _all_keys(child, f"{prefix}{key}.")
