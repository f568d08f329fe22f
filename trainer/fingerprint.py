"""Fingerprints of code and configuration, for TFX's execution cache.

TFX keys a cached execution by its inputs and parameters. A function that is named by its import
path contributes only its name, so a change of its code would be served from the cache. Putting
`digest(...)` among the parameters closes that gap.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib import resources
from importlib.abc import Traversable
from typing import Any

_KINDS = (".py", ".j2", ".css")


def _sources(node: Traversable, name: str) -> list[tuple[str, bytes]]:
    if node.is_dir():
        children = sorted(node.iterdir(), key=lambda child: child.name)
        return [pair for child in children for pair in _sources(child, f"{name}/{child.name}")]
    return [(name, node.read_bytes())] if name.endswith(_KINDS) else []


def digest(
    sources: tuple[str, ...], parameters: Mapping[str, Any], package: str = "trainer"
) -> str:
    """Identifies code and parameters.

    Args:
        sources: files or folders of the package, such as `("images.py", "backbones")`.
        parameters: anything JSON can hold.
        package: the top-level package that holds them.

    Returns:
        16 hexadecimal digits; equal for equal sources and parameters.

    Raises:
        FileNotFoundError: a source does not exist, or holds nothing of that kind.
    """
    hasher = hashlib.sha256(json.dumps(parameters, sort_keys=True).encode())
    root = resources.files(package)
    for source in sources:
        found = _sources(root.joinpath(source), source)
        if not found:
            raise FileNotFoundError(f"{package}/{source} holds none of {', '.join(_KINDS)}")
        for name, content in found:
            hasher.update(name.encode() + b"\0" + content + b"\0")
    return hasher.hexdigest()[:16]
