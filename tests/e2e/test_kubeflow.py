"""The compiled pipeline, run as the cluster runs it: first, again, and when a new span comes."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from components.evaluator.scorecard import FILE_NAME, Scorecard
from pipeline import peek
from tests.e2e.conftest import Finished, Workspace, make_workspace, retrain

pytestmark = pytest.mark.slow

PRECHECKS = {"example-gen-precheck", "production-model-precheck", "pusher-precheck"}
AFTER_A_PUSH = {"production-model", "evaluator", "pusher"}


@dataclass(frozen=True)
class Cluster:
    """A workspace whose pipeline is compiled and run in a folder that stands for a cluster."""

    workspace: Workspace
    data: Path

    def run(self) -> dict[str, dict[str, Any]]:
        """Returns the tasks of a run that succeeded, by name."""
        done = retrain(
            *("compile", "--config", str(self.workspace.config), "--json"),
            *("--output", str(self.workspace.folder / "pipeline.yaml")),
            *("--dry-run-in", str(self.workspace.folder / "cluster")),
        )
        assert done.code == 0, done.output + done.errors
        return {task["task"]: task for task in done.json["tasks"]}

    def scorecard(self, tasks: dict[str, dict[str, Any]]) -> Scorecard:
        uri = tasks["evaluator"]["artifacts"]["evaluation"]
        folder = self.workspace.folder / "cluster" / "store" / "minio"
        file = folder / uri.removeprefix("minio://") / FILE_NAME
        return Scorecard.from_json(file.read_text("utf-8"))


def _in_state(tasks: dict[str, dict[str, Any]], state: str) -> set[str]:
    return {name for name, task in tasks.items() if task["state"] == state}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, digits: Path) -> Cluster:
    folder = tmp_path_factory.mktemp("kubeflow")
    data = folder / "data"
    shutil.copytree(digits, data)
    return Cluster(make_workspace(folder, data), data)


@pytest.fixture(scope="module")
def first(cluster: Cluster) -> dict[str, dict[str, Any]]:
    return cluster.run()


def test_the_first_run_is_as_good_as_the_local_one(
    cluster: Cluster, first: dict[str, dict[str, Any]], first_run: Finished
) -> None:
    assert _in_state(first, "succeeded") == set(first)
    local = first_run.json["metrics"]
    metrics = {metric: cluster.scorecard(first).metrics[metric] for metric in local}
    assert metrics == pytest.approx(local, abs=1e-6)


def test_its_model_serves(cluster: Cluster, first: dict[str, dict[str, Any]]) -> None:
    (version,) = cluster.workspace.versions()
    model = tf.saved_model.load(str(cluster.workspace.store / version))
    (records,) = cluster.data.glob("span-0/*.tfrecord")
    images = [example["image/encoded"][0] for example in peek.examples(str(records), 8)]
    labels = model.signatures["serving_default"](image_bytes=tf.constant(images))["label"]
    assert {label.decode() for label in labels.numpy()} <= set("0123456789")


def test_a_run_without_news_is_all_cache_and_a_new_span_is_not(
    cluster: Cluster, first: dict[str, dict[str, Any]]
) -> None:
    # As in a local run: there is a production model now, so the same candidate is judged anew.
    again = cluster.run()
    assert _in_state(again, "succeeded") == PRECHECKS | AFTER_A_PUSH
    assert _in_state(again, "cached") == set(first) - PRECHECKS - AFTER_A_PUSH
    without_news = cluster.run()
    assert _in_state(without_news, "cached") == set(first) - PRECHECKS
    before = cluster.workspace.versions()

    ingest = ("ingest", "digits", "--output", str(cluster.data), "--span", "1")
    assert retrain(*ingest).code == 0
    news = cluster.run()
    assert _in_state(news, "cached") == {"schema-gen", "production-model"}
    assert cluster.scorecard(news).production
    assert before[0] in cluster.workspace.versions()
