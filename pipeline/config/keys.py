"""The keys of a config, read from the JSON schema that pydantic derives from the models.

Error messages, the file that `retrain init` writes and the reference in `docs/config.md` all use
this module, so none of them falls behind the models.
"""

import functools
from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.config.root import Config

Schema = Mapping[str, Any]

_KINDS = {
    "boolean": "true or false",
    "integer": "a whole number",
    "null": "null",
    "number": "a number",
    "string": "text",
}
_BOUNDS = {
    "minimum": "from",
    "exclusiveMinimum": "above",
    "maximum": "up to",
    "exclusiveMaximum": "and below",
}


@functools.cache
def schema() -> dict[str, Any]:
    """Returns the JSON schema of `Config`: its keys with descriptions, ranges and defaults."""
    return Config.model_json_schema()


def properties(parent: Schema) -> dict[str, dict[str, Any]]:
    """Returns key -> schema of a mapping, even if it may be null; empty for any other schema."""
    parent = dereferenced(parent)
    for choice in parent.get("anyOf", []):
        parent = dereferenced(choice) if "$ref" in choice else parent
    return {key: dict(dereferenced(child)) for key, child in parent.get("properties", {}).items()}


def items(parent: Schema) -> dict[str, Any] | None:
    """Returns the schema of a list's items; None for any other schema."""
    return _inner(parent, "items")


def values(parent: Schema) -> dict[str, Any] | None:
    """Returns the value schema of a mapping with arbitrary keys; None for any other schema."""
    return _inner(parent, "additionalProperties")


def all_keys(parent: Schema, prefix: str = "") -> Iterator[str]:
    """Yields `prefix` + dotted key for every key below a mapping, a section before its own keys."""
    for key, child in properties(parent).items():
        yield f"{prefix}{key}"
        yield from all_keys(child, f"{prefix}{key}.")


def allowed(schema: Schema) -> str:
    """Returns in words which values a schema allows."""
    schema = dereferenced(schema)
    if "allowed" in schema:
        return str(schema["allowed"])
    if "anyOf" in schema:
        return " or ".join(allowed(choice) for choice in schema["anyOf"])
    if "const" in schema or "enum" in schema:
        return " or ".join(schema.get("enum", [schema.get("const")]))
    kind = schema["type"]
    if kind == "object":
        names = ", ".join(schema.get("properties", {}))
        one = f"with {names}" if names else f"of names to {allowed(schema['additionalProperties'])}"
        return f"a mapping {one}"
    if kind == "array":
        return f"a list of {allowed(schema['items'])}"
    limits = [f"{word} {schema[bound]}" for bound, word in _BOUNDS.items() if bound in schema]
    return " ".join([_KINDS[kind], *limits])


def changed(value: Any, parent: Schema) -> Any:
    """Returns a value of `parent` without the keys in it that equal their own defaults."""
    children, item = properties(parent), items(parent)
    if isinstance(value, dict) and children:
        return {
            key: changed(value[key], child)
            for key, child in children.items()
            if key in value and not ("default" in child and child["default"] == value[key])
        }
    return [changed(one, item) for one in value] if item and isinstance(value, list) else value


def dereferenced(part: Schema) -> Schema:
    """Returns a schema with its `$ref` replaced by the definition; keys beside `$ref` win."""
    if "$ref" not in part:
        return part
    definition: dict[str, Any] = schema()["$defs"][part["$ref"].removeprefix("#/$defs/")]
    return {**definition, **part}


def _inner(parent: Schema, keyword: str) -> dict[str, Any] | None:
    parent = dereferenced(parent)
    choices = [choice for choice in parent.get("anyOf", [parent]) if choice.get("type") != "null"]
    # If a value may have several forms, pydantic's location names the form before the key.
    found = choices[0].get(keyword) if len(choices) == 1 else None
    return dict(dereferenced(found)) if isinstance(found, dict) else None
