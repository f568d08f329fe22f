"""The compiled pipeline, run as the cluster runs it: first, and again."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
import tensorflow as tf

from components.evaluator.scorecard import FILE_NAME, Scorecard
from components.report.component import DATA_FILE
from components.report.page import Page
from kubeflow import compile as compiler
from kubeflow.emulator.run import FAILED, TaskRun, run
from pipeline.config import load
from pipeline.data import peek
from tests.e2e import forks
from tests.e2e.conftest import Finished, Workspace, make_workspace

pytestmark = pytest.mark.slow

Tasks = dict[str, TaskRun]


def test_no_status_of_a_task_is_lost(tmp_path: Path) -> None:
    # argparse ends the first with 0 and the second with 2, before either does any work.
    tasks = [["--help"], ["--no-step"]] * 50

    def start(arguments: list[str]) -> int:
        return forks.run_task([*compiler.COMMAND, *arguments], {}, tmp_path / "log")

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(start, tasks)) == [0, 2] * 50


@dataclass(frozen=True)
class Cluster:
    """A workspace whose pipeline is compiled and run in a folder that stands for a cluster."""

    workspace: Workspace
    data: Path

    def run(self) -> Tasks:
        """Returns the tasks of a run that succeeded, by name."""
        text = compiler.compile_for_kubeflow(load(str(self.workspace.config), []))
        tasks = run(text, self.workspace.folder / "cluster", {}, start=forks.run_task)
        assert not [task for task in tasks if task.state == FAILED]
        return {task.task: task for task in tasks}

    def scorecard(self, tasks: Tasks) -> Scorecard:
        return Scorecard.from_json(self._stored(tasks["evaluator"], "evaluation", FILE_NAME))

    def page(self, tasks: Tasks) -> Page:
        return Page.from_json(self._stored(tasks["report"], "report", DATA_FILE))

    def _stored(self, task: TaskRun, output: str, file: str) -> str:
        uri = (task.artifacts or {})[output]
        folder = self.workspace.folder / "cluster" / "store" / "minio"
        return (folder / uri.removeprefix("minio://") / file).read_text("utf-8")


def _in_state(tasks: Tasks, state: str) -> set[str]:
    return {name for name, task in tasks.items() if task.state == state}


def _prechecks(tasks: Tasks) -> set[str]:
    return {task for task in tasks if task.endswith("-precheck")}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, digits: Path) -> Cluster:
    folder = tmp_path_factory.mktemp("kubeflow")
    data = folder / "data"
    shutil.copytree(digits, data)
    return Cluster(make_workspace(folder, data), data)


@pytest.fixture(scope="module")
def first(cluster: Cluster) -> Tasks:
    return cluster.run()


def test_the_first_run_is_as_good_as_the_local_one(
    cluster: Cluster, first: Tasks, first_run: Finished
) -> None:
    assert _in_state(first, "succeeded") == set(first)
    local = first_run.json["metrics"]
    metrics = {metric: cluster.scorecard(first).metrics[metric] for metric in local}
    assert metrics["accuracy"] == local["accuracy"]
    # Sums of floats depend on the order in which Beam takes them: by 3e-6 was seen.
    assert metrics == pytest.approx(local, abs=1e-4)


def test_its_model_serves(cluster: Cluster, first: Tasks) -> None:
    (version,) = cluster.workspace.versions()
    model = tf.saved_model.load(str(cluster.workspace.store / version))
    (records,) = cluster.data.glob("span-0/*.tfrecord")
    images = [example["image/encoded"][0] for example in peek.examples(str(records), 8)]
    labels = model.signatures["serving_default"](image_bytes=tf.constant(images))["label"]
    assert {label.decode() for label in labels.numpy()} <= set("0123456789")


def test_nothing_is_learnt_twice(cluster: Cluster, first: Tasks) -> None:
    (production,) = cluster.workspace.versions()
    # There is a version in production now, beside which the same model is judged once.
    again = cluster.run()
    judged = {"production-model", "evaluator", "pusher", "report"}
    assert _in_state(again, "succeeded") == judged | _prechecks(again)
    assert _in_state(again, "cached") == set(first) - _in_state(again, "succeeded")
    then = cluster.run()
    assert _in_state(then, "succeeded") == _prechecks(then)
    assert _in_state(then, "cached") == set(first) - _prechecks(then)
    assert cluster.workspace.versions() == [production]


def test_a_new_span_is_learnt_and_judged_beside_production(cluster: Cluster, first: Tasks) -> None:
    (production,) = cluster.workspace.versions()
    (records,) = cluster.data.glob("span-0/*.tfrecord")
    span = cluster.data / "span-1"
    span.mkdir()
    with tf.io.TFRecordWriter(str(span / records.name)) as writer:
        for record in tf.data.TFRecordDataset(str(records)).take(900):
            writer.write(record.numpy())
    tasks = cluster.run()
    anew = {"example-gen", "transform", "trainer", "evaluator", "pusher", "report"}
    assert anew <= _in_state(tasks, "succeeded")
    # The label list, and so the schema, is that of span 0, and what is in production is known.
    assert _in_state(tasks, "cached") <= {"schema-gen", "production-model"}
    card = cluster.scorecard(tasks)
    assert card.production is not None
    assert card.production["example_count"] == card.metrics["example_count"]
    pushed = set(cluster.workspace.versions()) - {production}
    assert len(pushed) == card.blessed
    page = cluster.page(tasks)
    assert page.verdict.kind == ("pushed" if card.blessed else "refused")
    assert page.production == int(production)
