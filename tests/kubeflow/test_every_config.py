"""Every ready config compiles to what the cluster takes, with every node that it can have."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from kubeflow import compile as compiler
from pipeline.config import Config, load
from pipeline.graph.nodes import EDGE_GATE, NODES, TUNER
from tests.kubeflow.conftest import LABELS
from trainer.options.training import Trainer

CONFIGS = sorted((Path(__file__).resolve().parents[2] / "configs").glob("*.yaml"))
MODES = get_args(Trainer.model_fields["mode"].annotation)


def _variants() -> Iterator[Any]:
    for config in CONFIGS:
        for mode in MODES:
            # A search needs a head to search for, which scratch has not; the config refuses it.
            for tuner in (False, True) if mode != "scratch" else (False,):
                for edge_gate in (False, True):
                    name = "-".join([config.stem, mode, *["tuner"] * tuner, *["edge"] * edge_gate])
                    yield pytest.param(config, mode, tuner, edge_gate, id=name)


def _load(config: Path, mode: str, tuner: bool, edge_gate: bool) -> Config:
    settings = {
        "data.root": "/mnt/nowhere",
        "data.labels": LABELS,
        "trainer.mode": mode,
        "tuner": {"trials": 2} if tuner else None,
        "export.tflite": "int8" if edge_gate else "none",
    }
    return load(str(config), [f"{key}={json.dumps(value)}" for key, value in settings.items()])


@pytest.mark.parametrize(("config", "mode", "tuner", "edge_gate"), _variants())
def test_it_compiles_and_is_accepted(config: Path, mode: str, tuner: bool, edge_gate: bool) -> None:
    settings = _load(config, mode, tuner, edge_gate)
    # Raises if the cluster would refuse it.
    text = compiler.compile_for_kubeflow(settings)
    spec = next(yaml.load_all(text, yaml.CSafeLoader))
    nodes = {node.id for node in compiler.blueprint(settings).graph().components}
    optional = {TUNER: tuner, EDGE_GATE: edge_gate}
    assert nodes == {node for node in NODES if optional.get(node, True)}
    tasks = {task for task in spec["root"]["dag"]["tasks"] if not task.endswith("-precheck")}
    assert tasks == nodes
