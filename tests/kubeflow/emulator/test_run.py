"""The order of tasks, retries and the cache, on pipelines whose steps are shell commands."""

from __future__ import annotations

import errno
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from kubeflow.acceptance import UnacceptableError
from kubeflow.emulator import run as run_module
from kubeflow.emulator.run import BusyError, run
from kubeflow.emulator.store import Store
from tests.kubeflow.conftest import Pipeline
from tests.kubeflow.emulator.conftest import CONSTANT, WRITE, dry_run, states


def test_a_task_that_fails_stops_what_waits_for_it(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.task("a", "echo why; exit 3")
    pipeline.task("b", "true", dependentTasks=["a"])
    tasks = dry_run(pipeline, tmp_path)
    assert states(tasks) == {"a": "failed", "b": "omitted"}
    assert tasks["a"].reason == "exit code 3: why"
    assert "why" in Path(tasks["a"].log or "").read_text("utf-8")


def test_a_task_is_tried_again_as_often_as_asked(pipeline: Pipeline, tmp_path: Path) -> None:
    count = tmp_path / "count"
    retry = {"maxRetryCount": 2, "backoffDuration": "0s", "backoffFactor": 2.0}
    pipeline.task("a", f"echo x >> {count}; test $(wc -l < {count}) = 3", retryPolicy=retry)
    assert dry_run(pipeline, tmp_path / "dry")["a"].tries == 3
    count.write_text("x\n" * 3)
    failed = dry_run(pipeline, tmp_path / "dry")["a"]
    assert (failed.state, failed.tries) == ("failed", 3)


def test_it_waits_longer_before_each_try_until_the_longest_time_has_passed(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    class Event:
        def wait(self, seconds: float) -> bool:
            waits.append(seconds)
            return False

    clock = SimpleNamespace(monotonic=lambda: sum(waits), strftime=time.strftime)
    monkeypatch.setattr(run_module, "time", clock)
    monkeypatch.setattr(run_module, "threading", SimpleNamespace(Event=Event))
    retry = {"maxRetryCount": 3, "backoffDuration": "60s", "backoffFactor": 2.0}
    pipeline.task("a", "exit 1", retryPolicy=retry)
    assert dry_run(pipeline, tmp_path)["a"].tries == 4
    assert waits == [0, 60, 120, 240]
    waits.clear()
    pipeline.task("a", "exit 1", retryPolicy={**retry, "backoffMaxDuration": "150s"})
    assert dry_run(pipeline, tmp_path)["a"].tries == 3
    assert waits == [0, 60, 120]


def test_an_interrupt_ends_the_wait_for_another_try(pipeline: Pipeline, tmp_path: Path) -> None:
    tries = []

    def interrupted(command: Sequence[str], variables: Mapping[str, str], log: Path) -> int:
        log.touch()
        tries.append(command)
        os.kill(os.getpid(), signal.SIGINT)
        return 1

    pipeline.task("a", "true", retryPolicy={"maxRetryCount": 1, "backoffDuration": "60s"})
    with pytest.raises(KeyboardInterrupt):
        run(pipeline.text(), tmp_path, {}, start=interrupted)
    assert len(tries) == 1


def test_a_full_disk_fails_the_task_and_tells(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    retry = {"maxRetryCount": 1, "backoffDuration": "0s"}
    pipeline.task("a", "true", cache=True, retryPolicy=retry)
    pipeline.task("b", "true", dependentTasks=["a"])
    (task, other) = run(pipeline.text(), tmp_path, {}, start=full)
    assert (task.state, task.tries, other.state) == ("failed", 2, "omitted")
    assert "No space left on device" in task.reason
    # Nor does it end otherwise where the launcher itself writes.
    monkeypatch.setattr(Store, "keep", full)
    task = dry_run(pipeline, tmp_path)["a"]
    assert task.state == "failed"
    assert task.reason == "OSError: [Errno 28] No space left on device"


def test_the_cache_key_is_the_clusters(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.task("a", WRITE, {"p": CONSTANT}, outputs=("model",), cache=True)
    pipeline.task("b", "true", artifacts={"model": ("a", "model")}, cache=True)
    assert states(dry_run(pipeline, tmp_path)) == {"a": "succeeded", "b": "succeeded"}
    assert states(dry_run(pipeline, tmp_path)) == {"a": "cached", "b": "cached"}
    executors = pipeline.spec["deploymentSpec"]["executors"]
    # Neither the environment nor resources are part of it.
    executors["a_executor"]["container"]["env"] = [{"name": "X", "value": "y"}]
    executors["a_executor"]["container"]["resources"] = {"cpuLimit": 1.0}
    assert states(dry_run(pipeline, tmp_path)) == {"a": "cached", "b": "cached"}
    # A step that runs anew has a new artifact, and what reads it runs anew too.
    pipeline.spec["root"]["dag"]["tasks"]["a"]["inputs"]["parameters"]["p"] = {
        "runtimeValue": {"constant": "b"}
    }
    assert states(dry_run(pipeline, tmp_path)) == {"a": "succeeded", "b": "succeeded"}
    executors["b_executor"]["container"]["image"] = "other"
    assert states(dry_run(pipeline, tmp_path)) == {"a": "cached", "b": "succeeded"}
    pipeline.spec["root"]["dag"]["tasks"]["a"]["cachingOptions"] = {}
    assert states(dry_run(pipeline, tmp_path)) == {"a": "succeeded", "b": "succeeded"}


def test_what_the_cluster_refuses_does_not_start(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.task("a", f"touch {tmp_path}/ran")
    pipeline.spec["schemaVersion"] = "2.0.0"
    with pytest.raises(UnacceptableError, match=r"allowed: 2\.1\.0"):
        dry_run(pipeline, tmp_path / "dry")
    assert not (tmp_path / "ran").exists()


def _conditional(pipeline: Pipeline) -> None:
    condition = {"condition": "inputs.parameter_values['p'] == 'a'"}
    pipeline.task("a", "true", {"p": CONSTANT}, triggerPolicy=condition)


def _importer(pipeline: Pipeline) -> None:
    pipeline.task("a", "true", outputs=("result",))
    importer = {"importer": {"artifactUri": {"constant": "s3://bucket/model"}}}
    pipeline.spec["deploymentSpec"]["executors"]["a_executor"] = importer


def _placeholder(pipeline: Pipeline) -> None:
    pipeline.task("a", "echo {{$.inputs.parameters['p']}}", {"p": CONSTANT})


@pytest.mark.parametrize("add", [_conditional, _importer, _placeholder])
def test_what_is_never_compiled_is_refused(
    pipeline: Pipeline, tmp_path: Path, add: Callable[[Pipeline], None]
) -> None:
    add(pipeline)
    with pytest.raises(UnacceptableError, match="task a: the dry run runs containers only"):
        dry_run(pipeline, tmp_path)


def test_independent_tasks_run_side_by_side(pipeline: Pipeline, tmp_path: Path) -> None:
    both = threading.Barrier(2)

    def meet(command: Sequence[str], variables: Mapping[str, str], log: Path) -> int:
        log.touch()
        both.wait(timeout=60)
        return 0

    pipeline.task("a", "true")
    pipeline.task("b", "true")
    tasks = run(pipeline.text(), tmp_path, {}, start=meet)
    assert [task.state for task in tasks] == ["succeeded", "succeeded"]


def test_a_folder_is_for_one_run_at_a_time(pipeline: Pipeline, tmp_path: Path) -> None:
    def run_again(command: Sequence[str], variables: Mapping[str, str], log: Path) -> int:
        log.touch()
        with pytest.raises(BusyError):
            run(pipeline.text(), tmp_path, {})
        return 0

    pipeline.task("a", "true")
    (task,) = run(pipeline.text(), tmp_path, {}, start=run_again)
    assert task.state == "succeeded"
