"""Data sets that lie beside the checkout, for development only; tests skip where they do not."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

_CHECKOUT = Path(__file__).resolve().parents[1]


def unpacked(name: str, folder: Path) -> Path:
    """Unpacks `shared/data/NAME` from beside the checkout into a folder, or skips the test."""
    archive = _CHECKOUT.parent / "shared" / "data" / name
    if not archive.exists():
        pytest.skip(f"shared/data/{name} is not beside the checkout")
    with tarfile.open(archive) as content:
        content.extractall(folder, filter="data")
    return folder
