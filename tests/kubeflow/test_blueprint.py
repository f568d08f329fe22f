"""A config made ready for a cluster: paths that containers see, values as Kubeflow takes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kubeflow.blueprint import blueprint, chosen
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
