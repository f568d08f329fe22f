"""A config made ready for a cluster: paths that containers see, values as Kubeflow takes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kubeflow.blueprint import Blueprint, blueprint, chosen
from pipeline.config import ConfigError
from tests.kubeflow.conftest import LABELS, settings

VOLUME = {"volumes": [{"claim": "retrain", "path": "/mnt/retrain/"}]}
CLUSTER = {"output": "/mnt/runs/{name}", "every_step": VOLUME}


def _sections(key: str, path: str) -> dict[str, Any]:
    section, _, name = key.partition(".")
    return {section: {name: path}}


@pytest.mark.parametrize("key", ["push.model_store", "backbone.path", "backbone.weights"])
def test_a_path_that_containers_do_not_see_is_refused(key: str) -> None:
    for path in ("/home/me/models", "/mnt/retrain/../me/models", "/mnt/retrained"):
        with pytest.raises(ConfigError) as refused:
            blueprint(settings(**_sections(key, path), kubeflow=CLUSTER))
        assert str(refused.value) == (
            f"{key}: found {path}, which the cluster's containers do not see; allowed with"
            " kubeflow.output or kubeflow.data_root: gs://…, or a path below /mnt/retrain or"
            " /mnt/nowhere/data or /mnt/runs/test_pets"
        )


@pytest.mark.parametrize("key", ["push.model_store", "backbone.path", "backbone.weights"])
@pytest.mark.parametrize(
    ("path", "kubeflow"),
    [
        ("/mnt/retrain/models", CLUSTER),
        ("/mnt/runs/test_pets/mine", CLUSTER),
        ("gs://bucket/models", CLUSTER),
        ("/mnt/retrain/models", {"data_root": "/data", "steps": {"trainer": VOLUME}}),
        ("/data/models", {"data_root": "/data", "output": "gs://bucket/output"}),
        # As in a dry run, this machine's paths are the containers'.
        ("/home/me/models", {"data_root": None, "output": None, "every_step": VOLUME}),
    ],
)
def test_a_path_that_containers_see_stays(key: str, path: str, kubeflow: dict[str, Any]) -> None:
    plan = blueprint(settings(**_sections(key, path), kubeflow=kubeflow))
    section, _, name = key.partition(".")
    assert getattr(getattr(plan.config, section), name) == path


def test_without_a_volume_only_a_uri_is_left(tmp_path: Path) -> None:
    buckets = {"data_root": "gs://bucket/data", "output": "gs://bucket/output"}
    with pytest.raises(ConfigError, match=r"kubeflow\.data_root: gs://…$"):
        blueprint(settings(push={"model_store": str(tmp_path)}, kubeflow=buckets))


@pytest.mark.parametrize("span", ["latest", 3])
def test_a_span_is_text_whatever_it_was_compiled_with(span: str | int) -> None:
    plan = blueprint(settings(data={"root": "/mnt/nowhere", "labels": LABELS, "span": span}))
    assert chosen(plan, ["data.span=4"]) == {"data_span": "4"}
    assert chosen(plan, ["data.span=latest"]) == {"data_span": "latest"}


def test_names_of_splits_and_features_reach_the_containers_where_the_data_is_not_listed() -> None:
    names = {"train": "training", "test": "*-test.tfrecord*"}
    features = {"image": "image", "label": "label", "label_base": 1}
    data = {"root": "/mnt/nowhere", "labels": LABELS, "split_names": names, "features": features}
    plan = blueprint(settings(data=data))
    there = Blueprint.from_json(plan.to_json())
    assert there.config == plan.config
    assert there.span == plan.span
    assert there.span.patterns == {
        "train": "span-{SPAN}/training/*.tfrecord*",
        "test": "span-{SPAN}/*-test.tfrecord*",
    }
    (here, inside) = (
        next(node for node in one.graph().components if node.id == "example-gen").exec_properties
        for one in (plan, there)
    )
    assert here == inside
