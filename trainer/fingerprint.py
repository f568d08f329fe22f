"""Fingerprints of code and configuration, for TFX's execution cache.

TFX keys a cached execution by its inputs and parameters. A function that is named by its import
path contributes only its name, so a run after a change of its code would be served from the cache.
`digest(...)` among the parameters closes that gap.

A fingerprint follows meaning: docstrings, comments and layout of Python code do not count. Modules
that only declare options do not count either, as their values travel as parameters.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import json
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

IMAGE_PATH = ("images.py", "headers.py", "bitmaps.py", "orientation.py")
"""The sources of `trainer` that decide what an image looks like to the model."""

_KINDS = (".py", ".j2", ".css")
_OPTIONS = ("options", "options.py", "section.py")


def digest(
    sources: tuple[str, ...], parameters: Mapping[str, Any], package: str = "trainer"
) -> str:
    """Returns a fingerprint of code and parameters.

    Args:
        sources: files or folders of the package, such as `("images.py", "backbones")`.
        parameters: anything JSON can hold.
        package: the top-level package that holds the sources.

    Returns:
        16 hexadecimal digits; equal for equal parameters and sources of equal meaning, on all
        versions of Python.

    Raises:
        FileNotFoundError: a source does not exist, or has no Python file, template or style sheet.
    """
    hasher = hashlib.sha256(json.dumps(parameters, sort_keys=True).encode())
    root = Path(str(resources.files(package)))
    for source in sources:
        found = list(_sources(root.joinpath(source), source))
        if not found:
            raise FileNotFoundError(f"{package}/{source} holds none of {', '.join(_KINDS)}")
        for name, content in found:
            hasher.update(name.encode() + b"\0" + content + b"\0")
    return hasher.hexdigest()[:16]


def _sources(node: Path, name: str) -> Iterator[tuple[str, bytes]]:
    """Yields the name and the meaning (see the module) of each source file, sorted by name."""
    if node.is_dir():
        for child in sorted(node.iterdir(), key=lambda child: child.name):
            if child.name not in _OPTIONS:
                yield from _sources(child, f"{name}/{child.name}")
    elif name.endswith(".py"):
        yield name, _parsed(node.read_bytes())
    elif name.endswith(_KINDS):
        yield name, node.read_bytes()


# Compiling a pipeline asks about the same sources a hundred times, and parsing takes longest.
@functools.cache
def _parsed(source: bytes) -> bytes:
    """Returns the meaning (see the module) of Python code as JSON."""
    return json.dumps(_meaning(ast.parse(source))).encode()


def _meaning(part: Any) -> Any:
    """Returns a part of a syntax tree as JSON: kinds of nodes and their fields.

    Empty fields are left out, as newer versions of Python add fields.
    """
    if isinstance(part, list):
        return [_meaning(one) for one in part if not _explains(one)]
    if not isinstance(part, ast.AST):
        return part
    if isinstance(part, ast.Constant):
        return repr(part.value)
    fields = dict(ast.iter_fields(part))
    if isinstance(part, ast.JoinedStr):  # to which Python 3.12.0 adds empty texts
        fields["values"] = [one for one in part.values if getattr(one, "value", None) != ""]
    filled = {name: _meaning(value) for name, value in fields.items() if value not in (None, [])}
    return [type(part).__name__, filled]


def _explains(part: Any) -> bool:
    """Tells whether a part is a docstring, or the string below a field."""
    constant = isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant)
    return constant and isinstance(part.value.value, str)
