"""The local launcher against small pipelines: what the cluster does, it does."""

from __future__ import annotations

import errno
import json
import os
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kubeflow import local_driver, local_launcher
from kubeflow.acceptance import RefusedError
from kubeflow.local_launcher import TaskRun
from kubeflow.local_store import Metadata
from tests.kubeflow.conftest import Pipeline

WRITE = """
path="$RETRAIN_MOUNTS/minio/$(echo "$1" | grep -o 'mlpipeline/v2/[^"]*/model' | tail -1)"
mkdir -p "$path/empty"; echo content > "$path/file"
"""
CONSTANT = {"runtimeValue": {"constant": "a"}}


def _run(pipeline: Pipeline, folder: Path, **parameters: Any) -> dict[str, TaskRun]:
    return {task.task: task for task in local_launcher.run(pipeline.text(), folder, parameters)}


def _states(tasks: dict[str, TaskRun]) -> dict[str, str]:
    return {name: task.state for name, task in tasks.items()}


def test_artifacts_travel_through_the_store_and_empty_folders_do_not(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    pipeline.task("a", WRITE, outputs=("model",))
    seen = tmp_path / "seen"
    find = f'cd "$RETRAIN_MOUNTS"; find . | sort > {seen}; echo "$1" > {seen}.json'
    pipeline.task("b", find, artifacts={"model": ("a", "model")})
    assert set(_states(_run(pipeline, tmp_path / "dry")).values()) == {"succeeded"}
    found = seen.read_text("utf-8")
    assert "/model/file" in found
    assert "empty" not in found
    (artifact,) = json.loads(Path(f"{seen}.json").read_text("utf-8"))["inputs"]["artifacts"][
        "model"
    ]["artifacts"]
    # What the real driver sends: an id for a name, and a type that says nothing.
    assert artifact["name"].isdecimal()
    assert artifact["type"] == {"instanceSchema": ""}
    assert artifact["uri"].startswith("minio://mlpipeline/v2/artifacts/small/")
    assert not list((tmp_path / "dry").glob("runs/*/*/container"))


def test_a_path_in_place_of_a_uri_loses_the_artifact(pipeline: Pipeline, tmp_path: Path) -> None:
    lose = WRITE + (
        'mkdir -p "$RETRAIN_MOUNTS/tmp/kfp_outputs"; echo "{\\"artifacts\\": {\\"model\\":'
        ' {\\"artifacts\\": [{\\"uri\\": \\"$path\\"}]}}}"'
        ' > "$RETRAIN_MOUNTS/tmp/kfp_outputs/output_metadata.json"'
    )
    pipeline.task("a", lose, outputs=("model",))
    seen = tmp_path / "seen"
    find = f'find "$RETRAIN_MOUNTS" > {seen}'
    pipeline.task("b", find, artifacts={"model": ("a", "model")})
    _run(pipeline, tmp_path / "dry")
    assert "model" not in seen.read_text("utf-8")


def test_a_task_that_fails_stops_what_waits_for_it(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.task("a", "echo why; exit 3")
    pipeline.task("b", "true", dependentTasks=["a"])
    tasks = _run(pipeline, tmp_path)
    assert _states(tasks) == {"a": "failed", "b": "omitted"}
    assert tasks["a"].reason == "exit code 3: why"
    assert "why" in Path(tasks["a"].log or "").read_text("utf-8")


def test_the_log_of_a_task_is_an_artifact(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.task("a", "echo something")
    task = _run(pipeline, tmp_path)["a"]
    uri = (task.artifacts or {})["executor-logs"]
    stored = tmp_path / "store" / "minio" / uri.removeprefix("minio://")
    assert stored.read_text("utf-8") == "something\n"


def test_a_task_is_tried_again_as_often_as_asked(pipeline: Pipeline, tmp_path: Path) -> None:
    count = tmp_path / "count"
    retry = {"maxRetryCount": 2, "backoffDuration": "0s", "backoffFactor": 2.0}
    pipeline.task("a", f"echo x >> {count}; test $(wc -l < {count}) = 3", retryPolicy=retry)
    assert _run(pipeline, tmp_path / "dry")["a"].tries == 3
    count.write_text("x\n" * 3)
    failed = _run(pipeline, tmp_path / "dry")["a"]
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
    monkeypatch.setattr(local_launcher, "time", clock)
    monkeypatch.setattr(local_launcher, "threading", SimpleNamespace(Event=Event))
    retry = {"maxRetryCount": 3, "backoffDuration": "60s", "backoffFactor": 2.0}
    pipeline.task("a", "exit 1", retryPolicy=retry)
    assert _run(pipeline, tmp_path)["a"].tries == 4
    assert waits == [0, 60, 120, 240]
    waits.clear()
    pipeline.task("a", "exit 1", retryPolicy={**retry, "backoffMaxDuration": "150s"})
    assert _run(pipeline, tmp_path)["a"].tries == 3
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
        local_launcher.run(pipeline.text(), tmp_path, {}, start=interrupted)
    assert len(tries) == 1


def test_a_full_disk_fails_the_task_and_tells(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    retry = {"maxRetryCount": 1, "backoffDuration": "0s"}
    pipeline.task("a", "true", cache=True, retryPolicy=retry)
    pipeline.task("b", "true", dependentTasks=["a"])
    (task, other) = local_launcher.run(pipeline.text(), tmp_path, {}, start=full)
    assert (task.state, task.tries, other.state) == ("failed", 2, "omitted")
    assert "No space left on device" in task.reason
    # Nor does it end otherwise where the launcher itself writes.
    monkeypatch.setattr(Metadata, "keep", full)
    task = _run(pipeline, tmp_path)["a"]
    assert task.state == "failed"
    assert task.reason == "OSError: [Errno 28] No space left on device"


def test_tasks_that_do_not_wait_for_each_other_run_side_by_side(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    # Each waits for a file that the other writes.
    for mine, other in (("a", "b"), ("b", "a")):
        wait = (
            f"touch {tmp_path}/{mine}; for i in $(seq 100); do test -e {tmp_path}/{other} && exit"
        )
        pipeline.task(mine, f"{wait}; sleep 0.1; done; exit 1")
    assert set(_states(_run(pipeline, tmp_path / "dry")).values()) == {"succeeded"}


def test_the_cache_key_is_the_clusters(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.task("a", WRITE, {"p": CONSTANT}, outputs=("model",), cache=True)
    pipeline.task("b", "true", artifacts={"model": ("a", "model")}, cache=True)
    assert _states(_run(pipeline, tmp_path)) == {"a": "succeeded", "b": "succeeded"}
    assert _states(_run(pipeline, tmp_path)) == {"a": "cached", "b": "cached"}
    executors = pipeline.spec["deploymentSpec"]["executors"]
    # Neither the environment nor resources are part of it.
    executors["a_executor"]["container"]["env"] = [{"name": "X", "value": "y"}]
    executors["a_executor"]["container"]["resources"] = {"cpuLimit": 1.0}
    assert _states(_run(pipeline, tmp_path)) == {"a": "cached", "b": "cached"}
    # A step that runs anew has a new artifact, and what reads it runs anew too.
    pipeline.spec["root"]["dag"]["tasks"]["a"]["inputs"]["parameters"]["p"] = {
        "runtimeValue": {"constant": "b"}
    }
    assert _states(_run(pipeline, tmp_path)) == {"a": "succeeded", "b": "succeeded"}
    executors["b_executor"]["container"]["image"] = "other"
    assert _states(_run(pipeline, tmp_path)) == {"a": "cached", "b": "succeeded"}
    pipeline.spec["root"]["dag"]["tasks"]["a"]["cachingOptions"] = {}
    assert _states(_run(pipeline, tmp_path)) == {"a": "succeeded", "b": "succeeded"}


def test_parameters_have_defaults_and_take_other_values(pipeline: Pipeline, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    pipeline.parameter("p", "NUMBER_INTEGER", defaultValue=3)
    pipeline.task("a", f'echo "$1" > {seen}', {"q": {"componentInputParameter": "p"}})
    _run(pipeline, tmp_path / "dry")
    assert json.loads(seen.read_text("utf-8"))["inputs"]["parameterValues"] == {"q": "3"}
    _run(pipeline, tmp_path / "dry", p=4)
    assert json.loads(seen.read_text("utf-8"))["inputs"]["parameterValues"] == {"q": "4"}
    with pytest.raises(local_driver.ParameterError, match='p: found "x"; allowed: NUMBER'):
        _run(pipeline, tmp_path / "dry", p="x")
    with pytest.raises(local_driver.ParameterError, match="other: allowed: p"):
        _run(pipeline, tmp_path / "dry", other=1)


def test_an_output_parameter_is_an_input_of_the_next(pipeline: Pipeline, tmp_path: Path) -> None:
    write = 'printf hello > "$RETRAIN_MOUNTS/tmp/kfp/outputs/word"'
    pipeline.task("a", write, returns=("word",))
    source = {"taskOutputParameter": {"producerTask": "a", "outputParameterKey": "word"}}
    pipeline.task("b", f'echo "$1" > {tmp_path}/seen', {"w": source})
    _run(pipeline, tmp_path / "dry")
    seen = json.loads((tmp_path / "seen").read_text("utf-8"))
    assert seen["inputs"]["parameterValues"] == {"w": "hello"}


@pytest.mark.parametrize(
    ("condition", "state"),
    [
        ("inputs.parameter_values['p'] == 'a'", "succeeded"),
        ("!(inputs.parameter_values['p'] == 'a')", "skipped"),
        ("inputs.parameter_values['p'].string_value == 'b' || false", "skipped"),
        ("inputs.parameter_values['p'] != 'b' && true", "succeeded"),
        ("inputs.parameter_values['p']", "failed"),
        ("open('x')", "failed"),
    ],
)
def test_a_condition_decides(
    pipeline: Pipeline, tmp_path: Path, condition: str, state: str
) -> None:
    pipeline.task("a", "true", {"p": CONSTANT}, triggerPolicy={"condition": condition})
    assert _states(_run(pipeline, tmp_path)) == {"a": state}


def test_an_importer_brings_in_what_is_there(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.task("a", "true", outputs=("result",))
    importer = {"artifactUri": {"constant": "s3://bucket/model"}, "metadata": {"x": 1}}
    pipeline.spec["deploymentSpec"]["executors"]["a_executor"] = {"importer": importer}
    pipeline.task("b", f'echo "$1" > {tmp_path}/seen', artifacts={"model": ("a", "result")})
    _run(pipeline, tmp_path / "dry")
    _run(pipeline, tmp_path / "dry")
    seen = json.loads((tmp_path / "seen").read_text("utf-8"))
    (artifact,) = seen["inputs"]["artifacts"]["model"]["artifacts"]
    assert artifact["name"] == "1", "the second run finds the first one's artifact"
    executor_input = json.loads((tmp_path / "seen").read_text("utf-8"))
    assert list(executor_input["outputs"]["artifacts"]) == ["executor-logs"]
    assert artifact["uri"] == "s3://bucket/model"
    assert artifact["metadata"] == {"x": 1}


def test_metadata_comes_back_as_ml_metadata_keeps_it(pipeline: Pipeline, tmp_path: Path) -> None:
    told = {"uri": "", "metadata": {"n": 1, "flag": True, "list": ["x"], "text": "t"}}
    output = json.dumps({"artifacts": {"model": {"artifacts": [told]}}})
    file = '"$RETRAIN_MOUNTS/tmp/kfp_outputs/output_metadata.json"'
    folder = '"$RETRAIN_MOUNTS/tmp/kfp_outputs"'
    pipeline.task("a", f"mkdir -p {folder}; echo '{output}' > {file}", outputs=("model",))
    pipeline.task("b", f'echo "$1" > {tmp_path}/seen', artifacts={"model": ("a", "model")})
    _run(pipeline, tmp_path / "dry")
    seen = json.loads((tmp_path / "seen").read_text("utf-8"))
    (artifact,) = seen["inputs"]["artifacts"]["model"]["artifacts"]
    expected = {"n": 1.0, "flag": 1.0, "list": {"list": ["x"]}, "text": "t"}
    assert artifact["metadata"] == expected


def test_metadata_that_is_null_fails_the_task(pipeline: Pipeline, tmp_path: Path) -> None:
    told = {"artifacts": {"model": {"artifacts": [{"metadata": {"n": None}}]}}}
    folder = '"$RETRAIN_MOUNTS/tmp/kfp_outputs"'
    command = f"mkdir -p {folder}; echo '{json.dumps(told)}' > {folder}/output_metadata.json"
    pipeline.task("a", command, outputs=("model",))
    task = _run(pipeline, tmp_path)["a"]
    assert task.state == "failed"
    assert "null" in task.reason


def test_what_the_cluster_refuses_does_not_start(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.task("a", f"touch {tmp_path}/ran")
    pipeline.spec["schemaVersion"] = "2.0.0"
    with pytest.raises(RefusedError, match=r"allowed: 2\.1\.0"):
        _run(pipeline, tmp_path / "dry")
    assert not (tmp_path / "ran").exists()


def test_a_folder_is_for_one_run_at_a_time(pipeline: Pipeline, tmp_path: Path) -> None:
    import threading

    pipeline.task("a", f"touch {tmp_path}/on; while ! test -e {tmp_path}/off; do sleep 0.1; done")
    thread = threading.Thread(target=_run, args=(pipeline, tmp_path / "dry"))
    thread.start()
    try:
        while not (tmp_path / "on").exists():
            time.sleep(0.05)
        with pytest.raises(local_launcher.BusyError):
            _run(pipeline, tmp_path / "dry")
    finally:
        (tmp_path / "off").touch()
        thread.join()
