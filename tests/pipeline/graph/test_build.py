"""The graph has every step under its name, and each setting reaches the steps it concerns."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest
from tfx.orchestration.pipeline import Pipeline

from pipeline.config import Config, ConfigError
from pipeline.data.spans import SPLITS, Span
from pipeline.graph import build, schema
from pipeline.graph.nodes import EDGE_GATE, NODES, PRODUCTION_MODEL, SPAN_DRIFT, TUNER
from tests.conftest import LABELS


def _span(*, splits: bool = False, numbered: bool = True) -> Span:
    prefix = "span-{SPAN}/" if numbered else ""
    names = SPLITS if splits else ()
    patterns = {name: f"{prefix}{name}/*.tfrecord*" for name in names}
    return Span(
        number=3,
        path="/data/span-3",
        base="/data",
        splits=names,
        patterns=patterns or {"all": f"{prefix}*.tfrecord*"},
        numbered=numbered,
    )


def _graph(
    tmp_path: Path, span: Span | None = None, labels: tuple[str, ...] = LABELS, **sections: Any
) -> Pipeline:
    settings = {
        "name": "test",
        "data": {"root": "/data"},
        "image": {"size": 32},
        "backbone": {"weights": "none"},
        "output": str(tmp_path / "output"),
        **sections,
    }
    config = Config.model_validate(settings)
    return build.create_pipeline(config, span or _span(), labels, "/schema.pbtxt", "0123abc")


def _properties(graph: Pipeline) -> dict[str, dict[str, Any]]:
    return {node.id: dict(node.exec_properties) for node in graph.components}


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    return _graph(tmp_path_factory.mktemp("graph"))


def test_every_step_of_the_design_is_there_in_its_order(graph: Pipeline) -> None:
    found = [node.id for node in graph.components]
    assert set(NODES) - set(found) == {TUNER, EDGE_GATE}
    # TFX sorts steps by what they wait for: one of these waits for none, one for the examples only.
    found.remove(PRODUCTION_MODEL)
    found.remove(SPAN_DRIFT)
    assert found == [node for node in NODES if node in found]


def test_node_ids_are_such_as_kubernetes_takes(graph: Pipeline) -> None:
    assert all(re.fullmatch("[a-z0-9]+(-[a-z0-9]+)*", node.id) for node in graph.components)


def test_there_is_no_resolver(graph: Pipeline) -> None:
    # Open-source Kubeflow Pipelines refuses it.
    assert not [node for node in graph.components if "Resolver" in type(node).__name__]


def test_steps_wait_for_what_they_need(graph: Pipeline) -> None:
    upstream = {node.id: {other.id for other in node.upstream_nodes} for node in graph.components}
    assert upstream["data-gate"] == {
        "example-gen",
        "example-validator",
        "span-drift",
    }
    assert "data-gate" in upstream["transform"]
    assert upstream["trainer"] == {"transform", "schema-gen"}
    assert upstream["evaluator"] == {"transform", "trainer", "production-model"}
    assert upstream["pusher"] == {"trainer", "evaluator", "serving-validator"}
    assert "pusher" in upstream["report"]
    assert upstream["serving-validator"] == {"transform", "trainer", "evaluator"}


def test_building_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    _graph(tmp_path)
    # At most, TFX makes the folder for the metadata's database.
    assert set(tmp_path.rglob("*")) <= {tmp_path / "here", tmp_path / "output"}


def test_all_that_a_run_makes_lies_under_output(graph: Pipeline) -> None:
    output = graph.pipeline_info.pipeline_root.removesuffix("/artifacts")
    assert output.endswith("/output")
    assert graph.metadata_connection_config.sqlite.filename_uri == f"{output}/metadata.db"
    properties = _properties(graph)
    assert properties["production-model"]["model_store"] == f"{output}/models/test"
    destination = json.loads(properties["pusher"]["push_destination"])
    assert destination["filesystem"]["base_directory"] == f"{output}/models/test"


@pytest.mark.parametrize(
    "sections",
    [
        {"trainer": {"epochs": 7}},
        {"trainer": {"learning_rate": 0.5, "hidden_units": 9}},
        {"evaluation": {"thresholds": {"accuracy": {"min": 0.125}}}},
        {"push": {"keep": 1}},
    ],
)
def test_what_concerns_later_steps_leaves_the_embeddings_cached(
    tmp_path: Path, graph: Pipeline, sections: dict[str, Any]
) -> None:
    before, after = _properties(graph), _properties(_graph(tmp_path, **sections))
    assert after["transform"] == before["transform"]
    changed = {"trainer": "trainer", "evaluation": "evaluator", "push": "pusher"}
    (section,) = sections
    assert after[changed[section]] != before[changed[section]]
    if section != "trainer":
        assert after["trainer"] == before["trainer"]


@pytest.mark.parametrize("image", [{"size": 64}, {"size": 32, "crop": 0.5}])
def test_another_image_path_is_not_served_from_the_cache(
    tmp_path: Path, graph: Pipeline, image: dict[str, Any]
) -> None:
    before, after = _properties(graph), _properties(_graph(tmp_path, image=image))
    assert after["transform"] != before["transform"]
    assert after["trainer"] != before["trainer"]


def test_another_label_list_reaches_schema_transform_trainer_and_evaluator(
    tmp_path: Path, graph: Pipeline
) -> None:
    labels = (*LABELS, "more")
    before, after = _properties(graph), _properties(_graph(tmp_path, labels=labels))
    for node in ("transform", "trainer", "evaluator"):
        assert after[node] != before[node], node
    paths = {schema.write(schema.curated(names, ()), str(tmp_path)) for names in (LABELS, labels)}
    assert len(paths) == 2


def test_data_without_splits_is_cut_by_the_image_in_the_shares_asked_for(tmp_path: Path) -> None:
    splits = {"train": 0.5, "val": 0.3, "test": 0.2}
    graph = _graph(tmp_path, data={"root": "/data", "splits": splits})
    cut = json.loads(_properties(graph)["example-gen"]["output_config"])["split_config"]
    shares = {split["name"]: split["hash_buckets"] / 10_000 for split in cut["splits"]}
    assert shares == splits


def test_only_train_is_cut_where_the_data_brings_test(tmp_path: Path) -> None:
    found = _span()
    patterns = {split: f"span-{{SPAN}}/{split}/*.tfrecord*" for split in ("test", "train")}
    span = dataclasses.replace(found, splits=("train", "test"), patterns=patterns)
    properties = _properties(_graph(tmp_path, span))["example-gen"]
    given = json.loads(properties["input_config"])["splits"]
    cut = json.loads(properties["output_config"])["split_config"]["splits"]
    assert [split["name"] for split in given] == ["train", "test"]
    assert {split["name"]: split["hash_buckets"] for split in cut} == {"train": 7000, "val": 1500}


def test_checks_reach_the_example_gen_and_limits_only_the_gate(tmp_path: Path) -> None:
    before = _properties(_graph(tmp_path))

    def changed(**data: Any) -> set[str]:
        after = _properties(_graph(tmp_path, data={"root": "/data", **data}))
        changes = {node for node, found in before.items() if after[node] != found}
        return changes - {"report"}  # which shows the whole config

    assert changed() == set()
    assert changed(checks={"min_side": 30}) == {"example-gen"}
    assert changed(group="image/source") == {"example-gen"}
    assert changed(features={"image": "image", "label_base": 1}) == {"example-gen"}
    assert changed(checks={"max_quarantined": 0.5, "min_class_images": 7}) == {"data-gate"}
    assert changed(drift={"action": "stop"}) == {"data-gate"}
    assert changed(drift={"max_divergence": 0.5}) == {"span-drift"}


def test_statistics_are_of_what_the_schema_names(tmp_path: Path) -> None:
    evaluation = {"slices": ["image/camera"]}
    properties = _properties(_graph(tmp_path, evaluation=evaluation))["statistics-gen"]
    names = json.loads(properties["stats_options_json"])["_feature_allowlist"]
    assert {"image/encoded", "image/class/label", "image/brightness", "image/camera"} <= set(names)


def test_data_with_splits_comes_in_as_it_is(tmp_path: Path) -> None:
    properties = _properties(_graph(tmp_path, _span(splits=True)))["example-gen"]
    patterns = {s["name"]: s["pattern"] for s in json.loads(properties["input_config"])["splits"]}
    assert patterns == {name: f"span-{{SPAN}}/{name}/*.tfrecord*" for name in SPLITS}
    assert not json.loads(properties["output_config"])


@pytest.mark.parametrize(
    ("span", "window", "numbered", "spans"),
    [
        ("latest", 1, True, {"rolling_range": {"num_spans": 1}}),
        ("latest", 4, True, {"rolling_range": {"num_spans": 4}}),
        (3, 1, True, {"static_range": {"start_span_number": 3, "end_span_number": 3}}),
        (3, 2, True, {"static_range": {"start_span_number": 2, "end_span_number": 3}}),
        (3, 9, True, {"static_range": {"end_span_number": 3}}),
        (0, 1, False, None),
    ],
)
def test_a_span_is_pinned_only_where_it_was_asked_for_by_number(
    tmp_path: Path, span: str | int, window: int, numbered: bool, spans: object
) -> None:
    data = {"root": "/data", "span": span, "window": window}
    graph = _graph(tmp_path, _span(numbered=numbered), data=data)
    found = _properties(graph)["example-gen"].get("range_config")
    assert (found and json.loads(found)) == spans


def test_beam_gets_its_options(tmp_path: Path) -> None:
    arguments = ["--direct_num_workers=2"]
    assert _graph(tmp_path, beam={"args": arguments}).beam_pipeline_args[:1] == arguments


def test_the_tuner_and_the_edge_gate_are_there_where_they_are_asked_for(tmp_path: Path) -> None:
    graph = _graph(tmp_path, tuner={"trials": 2}, export={"tflite": "int8"})
    nodes = {node.id: node for node in graph.components}
    assert set(nodes) == set(NODES)
    assert nodes["tuner"] in nodes["trainer"].upstream_nodes
    assert nodes["edge-gate"] in nodes["pusher"].upstream_nodes


def test_nothing_is_embedded_where_a_cnn_learns_from_scratch(tmp_path: Path) -> None:
    graph = _graph(tmp_path, trainer={"mode": "scratch"}, backbone={"weights": "bundled"})
    properties = _properties(graph)
    assert json.loads(properties["transform"]["custom_config"])["backbone"] is None
    assert json.loads(properties["trainer"]["custom_config"])["recipe"]["backbone"] is None


def test_config_commit_and_card_are_kept_with_the_run(tmp_path: Path) -> None:
    graph = _graph(tmp_path, card={"owner": "the zoo"}, trainer={"epochs": 7})
    options = json.loads(_properties(graph)["report"]["options"])
    assert options["config"]["trainer"]["epochs"] == 7
    assert options["config"]["output"] == str(tmp_path / "output")
    assert options["config"]["card"]["owner"] == "the zoo"
    assert options["labels"] == list(LABELS)
    assert options["commit"] == "0123abc"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"trainer": {"class_weights": {"nobody": 2.0}}},
            "trainer.class_weights: nobody: no such class",
        ),
        (
            {
                "trainer": {
                    "mode": "scratch",
                    "cnn": {"blocks": [{"filters": 4, "pool_size": 20}] * 2},
                }
            },
            "trainer.cnn.blocks: images of 32 pixels are too small for block 2",
        ),
        (
            {"trainer": {"mode": "finetune", "finetune": {"unfreeze": "blok6"}}},
            "trainer.finetune.unfreeze: no layer of efficientnet_lite0 starts with blok6",
        ),
        (
            {"backbone": {"name": "InceptionV3", "weights": "none"}, "image": {"size": 64}},
            "InceptionV3 at 64 pixels: ",
        ),
    ],
)
def test_what_could_not_be_learnt_is_told_before_anything_runs(
    tmp_path: Path, changes: dict[str, Any], told: str
) -> None:
    with pytest.raises(ConfigError, match=re.escape(told)):
        _graph(tmp_path, **changes)


def test_another_bound_of_the_edge_gate_trains_nothing_anew(tmp_path: Path) -> None:
    one, other = (
        _properties(_graph(tmp_path, export={"tflite": "int8", "min_agreement": bound}))
        for bound in (0.9, 0.95)
    )
    assert one["trainer"] == other["trainer"]
    assert one["edge-gate"] != other["edge-gate"]
