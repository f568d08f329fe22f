"""The config reference in `docs/config.md`: `python -m pipeline.config.reference` prints it.

Each section has a heading and a table of its keys. A section with the same keys as an earlier one,
such as the bounds of a second metric, links to the earlier table.
"""

import re
import sys
from collections.abc import Iterator

from pipeline.config import keys
from pipeline.config.yaml_text import inline

_HEAD = """\
# Config reference

`make docs` writes this page from the models in `pipeline.config`; do not edit it by hand.

A config file is YAML with these keys. `retrain init` writes one that explains every key, and
`retrain run --set section.key=value` overrides a key. An unknown key is an error. Relative paths
start at the current directory.
"""


def render() -> str:
    """Returns the page as Markdown."""
    return "\n".join([_HEAD, *_section("", keys.schema(), {})]) + "\n"


def _section(path: str, section: keys.Schema, seen: dict[str, str]) -> Iterator[str]:
    """Yields the table of one section, then the sections in it.

    Args:
        path: the section's dotted key; empty for the whole config.
        section: the section's schema.
        seen: text of a section's keys -> path of the first section with these keys; updated here.
    """
    below = []
    yield "| key | allowed | default | meaning |"
    yield "|---|---|---|---|"
    for key, child in keys.properties(section).items():
        form, mark, inner = _inner(child)
        allowed = keys.allowed(child)
        if inner:
            here = f"{path}.{key}{mark}".removeprefix(".")
            first = seen.setdefault(str(keys.properties(inner)), here)
            allowed = f"{form}: [`{first}`](#{_anchor(first)})"
            if first == here:
                below.append((here, child["description"], inner))
        cells = (f"`{key}`", allowed, _default(child), _meaning(child))
        escaped = (cell.replace("|", r"\|") for cell in cells)
        yield f"| {' | '.join(escaped)} |"
    for here, description, inner in below:
        yield f"\n{'#' * min(here.count('.') + 2, 4)} {here}\n\n{description}\n"
        yield from _section(here, inner, seen)


def _inner(child: keys.Schema) -> tuple[str, str, keys.Schema]:
    """Returns form, path mark and schema of the section below a key; all empty if there is none."""
    forms = (
        ("a mapping", "", child),
        ("a list of mappings", "[]", keys.items(child) or {}),
        ("a mapping of names to mappings", ".NAME", keys.values(child) or {}),
    )
    return next((form for form in forms if keys.properties(form[2])), ("", "", {}))


def _default(child: keys.Schema) -> str:
    """Returns a key's default as text; empty for a section, whose own table has the defaults."""
    if "default" not in child:
        return "required"
    given = keys.changed(child["default"], child)
    return "" if given == {} else f"`{inline(given)}`"


def _meaning(child: keys.Schema) -> str:
    example = ""
    if child.get("default") is None and "examples" in child:
        example = f" Example: `{inline(child['examples'][0])}`."
    return f"{child['description']}{example}"


def _anchor(heading: str) -> str:
    """Returns the anchor that Markdown renderers give to a heading."""
    return re.sub(r"[^\w-]", "", heading.lower())


if __name__ == "__main__":
    sys.stdout.write(render())
