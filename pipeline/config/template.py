"""Writes the commented config that a new pipeline starts from.

The text is made from the models in `pipeline.config`, so it cannot fall behind them.
"""

import json
import math
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from pipeline import config

_WIDTH = 100


def render(name: str) -> str:
    """Renders a config file of defaults in which every key is explained.

    A key without a default value is commented out and shows an example. `data.root` is set to
    `data/{name}`, for the user to change.

    Args:
        name: name of the pipeline.

    Raises:
        ConfigError: the name is not allowed.
    """
    given = {"name": name, "data": {"root": f"data/{name}"}}
    config.validate(given, "template")
    head = f"# Settings of the pipeline {name}. A key that is left out has the default given here."
    return "\n".join([head, *_block(config.schema(), given, "", set())]) + "\n"


def _block(
    parent: Mapping[str, Any], values: Mapping[str, Any], indent: str, told: set[str]
) -> Iterator[str]:
    """Yields the lines of one mapping; `told` holds the descriptions that stand above already."""
    for key, schema in config.properties(parent).items():
        value = values.get(key, schema.get("default"))
        description = schema["description"]
        if value is None and description in told:
            continue
        if not indent:
            yield ""
        if description not in told:
            told.add(description)
            yield from _comment(_explained(schema), indent)
        item = config.properties(schema.get("items", {}))
        if item:
            yield from _entries(key, value, item, indent, told)
        elif isinstance(value, dict):
            yield f"{indent}{key}:"
            yield from _block(schema, value, f"{indent}  ", told)
        elif value is not None:
            yield f"{indent}{key}: {_flow(value)}"
        else:
            yield from _nested(schema, f"{indent}# ", told)
            yield f"{indent}# {key}: {_flow(_example(schema))}"


def _nested(parent: Mapping[str, Any], indent: str, told: set[str]) -> Iterator[str]:
    """Explains the keys of a mapping that is not written out."""
    for key, schema in config.properties(parent).items():
        if schema["description"] not in told:
            told.add(schema["description"])
            yield from _comment(f"{key}: {_explained(schema)}", indent)
        yield from _nested(schema, f"{indent}  ", told)


def _entries(
    key: str,
    values: list[dict[str, Any]],
    item: Mapping[str, Any],
    indent: str,
    told: set[str],
) -> Iterator[str]:
    """Yields a list of mappings, each with the keys that differ from their defaults."""
    yield from _nested({"properties": item}, f"{indent}# ", told)
    yield f"{indent}{key}:"
    for entry in values:
        given = {name: one for name, one in entry.items() if one != item[name].get("default")}
        yield f"{indent}  - {_flow(given)}"


def _explained(schema: Mapping[str, Any]) -> str:
    """Says what a key is for, what it may be and what it is if left out."""
    sentences = [schema["description"]]
    if not config.properties(schema):
        sentences.append(f"Allowed: {config.allowed(schema)}.")
        listed = config.properties(schema.get("items", {}))
        told_below = listed or "default" not in schema
        sentences.append("" if told_below else f"Default: {_flow(schema['default'])}.")
    return " ".join(filter(None, sentences))


def _example(schema: Mapping[str, Any]) -> Any:
    """Takes the example that the models give for a key, or makes one of its first key's."""
    if "examples" in schema:
        return schema["examples"][0]
    key, nested = next(iter(config.properties(schema).items()))
    return {key: _example(nested)}


def _comment(text: str, indent: str) -> list[str]:
    start = f"{indent}# "
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=start,
        subsequent_indent=start,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _flow(value: object) -> str:
    """Writes a value on one line, in quotes where the config's reader would take it for another."""
    text = yaml.safe_dump(value, default_flow_style=True, width=math.inf, allow_unicode=True)
    text = text.removesuffix("...\n").strip()
    return text if config.parse(text, "template") == value else json.dumps(value)
