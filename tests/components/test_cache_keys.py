"""A gate whose code has changed judges anew: its earlier result is not taken from the cache."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from pipeline.config import Config
from pipeline.data.spans import Span
from pipeline.graph import build
from tests.conftest import LABELS
from trainer import fingerprint

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGES = ("components", "serving")


def _properties() -> dict[str, dict[str, Any]]:
    """Returns the execution properties of every node, which are part of TFX's cache key."""
    config = Config.model_validate(
        {
            "name": "test",
            "data": {"root": "/data"},
            "image": {"size": 32},
            "backbone": {"weights": "none"},
            "export": {"tflite": "float16"},
            "output": "/nowhere",
        }
    )
    patterns = {"all": "*.tfrecord*"}
    span = Span(number=0, path="/data", base="/data", splits=(), patterns=patterns, numbered=False)
    graph = build.create_pipeline(config, span, LABELS, "/schema.pbtxt", commit="")
    return {node.id: dict(node.exec_properties) for node in graph.components}


@pytest.fixture(scope="module")
def before() -> dict[str, dict[str, Any]]:
    return _properties()


@pytest.mark.parametrize(
    ("source", "nodes"),
    [
        ("components/data_gate/component.py", {"data-gate"}),
        ("components/edge_gate/component.py", {"edge-gate"}),
        ("components/production_model/component.py", {"production-model"}),
        ("components/model_store.py", {"production-model"}),
        ("components/span_drift/comparison.py", {"span-drift"}),
        ("components/statistics_store.py", {"data-gate", "span-drift"}),
        ("components/serving_validator/checks.py", {"serving-validator"}),
        ("serving/json_tensors.py", {"serving-validator"}),
    ],
)
def test_changed_code_changes_the_properties_of_its_gate(
    before: dict[str, dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    source: str,
    nodes: set[str],
) -> None:
    for package in PACKAGES:
        shutil.copytree(REPOSITORY / package, tmp_path / package)
    files = fingerprint.resources.files
    monkeypatch.setattr(
        fingerprint.resources,
        "files",
        lambda package: tmp_path / package if package in PACKAGES else files(package),
    )
    with (tmp_path / source).open("a") as changed:
        changed.write("# a comment\n")
    assert _properties() == before
    with (tmp_path / source).open("a") as changed:
        changed.write("MENDED = True\n")
    after = _properties()
    assert {node for node in before if after[node] != before[node]} == nodes
