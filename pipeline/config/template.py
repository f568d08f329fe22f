"""The commented config that `retrain init` writes for a new pipeline, derived from the models."""

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.config import keys, loading
from pipeline.config.yaml_text import inline

_WIDTH = 100


def render(name: str) -> str:
    """Returns a config file for a new pipeline: every key with its explanation and default.

    A key without a default is commented out and shows an example. `data.root` is `data/{name}`,
    for the user to change.

    Raises:
        ConfigError: the name is not allowed.
    """
    given = {"name": name, "data": {"root": f"data/{name}"}}
    loading.validate(given, "template")
    head = f"# Settings of the pipeline {name}. A key that is left out has the default given here."
    return "\n".join([head, *_block(keys.schema(), given, "", set())]) + "\n"


def _block(
    parent: keys.Schema, values: Mapping[str, Any], indent: str, told: set[str]
) -> Iterator[str]:
    """Yields the lines of one mapping; `told` holds the descriptions already written."""
    for key, schema in keys.properties(parent).items():
        value = values.get(key, schema.get("default"))
        description = schema["description"]
        if value is None and description in told:
            continue
        if not indent:
            yield ""
        if description not in told:
            told.add(description)
            yield from _comment(_explained(schema), indent)
        item = keys.properties(keys.items(schema) or {})
        if item and value is not None:
            yield from _nested({"properties": item}, f"{indent}# ", told)
            yield f"{indent}{key}:"
            yield from (f"{indent}  - {inline(one)}" for one in keys.changed(value, schema))
        elif isinstance(value, dict):
            yield f"{indent}{key}:"
            yield from _block(schema, value, f"{indent}  ", told)
        elif value is not None:
            yield f"{indent}{key}: {inline(value)}"
        else:
            yield from _nested(schema, f"{indent}# ", told)
            yield f"{indent}# {key}: {inline(_example(schema))}"


def _nested(parent: keys.Schema, indent: str, told: set[str]) -> Iterator[str]:
    """Yields comments that explain the keys of a mapping whose values are not written out."""
    for key, schema in keys.properties(parent).items():
        if schema["description"] not in told:
            told.add(schema["description"])
            yield from _comment(f"{key}: {_explained(schema)}", indent)
        yield from _nested(schema, f"{indent}  ", told)


def _explained(schema: keys.Schema) -> str:
    """Returns a key's description, allowed values and default as sentences."""
    sentences = [schema["description"]]
    if not keys.properties(schema):
        sentences.append(f"Allowed: {keys.allowed(schema)}.")
        # A list of mappings is written out below, so its default is not repeated here.
        below = keys.properties(schema.get("items", {}))
        if "default" in schema and not below:
            sentences.append(f"Default: {inline(schema['default'])}.")
    return " ".join(sentences)


def _example(schema: keys.Schema) -> Any:
    """Returns the example that the models give for a key, or one built from its first subkey."""
    if "examples" in schema:
        return schema["examples"][0]
    key, nested = next(iter(keys.properties(schema).items()))
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
