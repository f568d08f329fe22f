"""Parses and writes YAML as config files use it."""

import json
import math
import re
from typing import Any

import yaml

from pipeline.config.error import ConfigError

# More than any config has. PyYAML's time grows with the square of the levels in brackets.
_MOST_LEVELS = 50


class _Loader(yaml.SafeLoader):
    """YAML's safe subset, in which a repeated key is an error, and levels in brackets are few."""

    def fetch_flow_collection_start(self, token: Any) -> None:
        if self.flow_level == _MOST_LEVELS:
            raise RecursionError
        super().fetch_flow_collection_start(token)

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise yaml.composer.ComposerError(
                        problem=f"key {key.value} stands twice", problem_mark=key.start_mark
                    )
                seen.add(key.value)
        return node


# PyYAML follows YAML 1.1, where 1e-3 is text because it has no dot. YAML 1.2 reads it as a number.
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+$"),
    list("-+0123456789."),
)


def parse(text: str, origin: str) -> Any:
    """Parses YAML; a repeated key is an error, and 1e-3 is a number.

    Error messages start with `origin`, the name of the text's source.

    Raises:
        ConfigError: the text is not YAML, or repeats a key.
    """
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        line = f" at line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigError(f"{origin}: not YAML{line}: {error.problem}") from error
    except RecursionError:
        raise ConfigError(f"{origin}: found too many levels; allowed: those of a config") from None
    except (yaml.YAMLError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{origin}: not YAML: {reason}") from error


def inline(value: object) -> str:
    """Writes a value on one line so that `parse` returns the same value."""
    text = yaml.safe_dump(
        value, default_flow_style=True, width=math.inf, allow_unicode=True, sort_keys=False
    )
    text = text.removesuffix("...\n").strip()
    # PyYAML leaves 1e3 without quotes, which `parse` reads as a number.
    return text if parse(text, "inline") == value else json.dumps(value)
