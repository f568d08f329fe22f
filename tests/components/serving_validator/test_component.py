"""A real server answers with a real model, or the model is refused; none is left running."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import tensorflow as tf

from components.outage import OutageError
from components.serving_validator import server_process
from components.serving_validator.component import validate
from components.serving_validator.options import Serving
from tests.conftest import LABELS, Exported

pytestmark = pytest.mark.slow

BOUNDS = Serving(p50_ms=60_000, p99_ms=60_000, memory_mb=16_384)


@pytest.fixture(autouse=True)
def _no_server_stays(monkeypatch: pytest.MonkeyPatch) -> object:
    started = []
    real = server_process.subprocess.Popen

    def noted(*arguments: object, **options: object) -> object:
        started.append(real(*arguments, **options))
        return started[-1]

    monkeypatch.setattr(server_process.subprocess, "Popen", noted)
    yield
    assert started
    assert all(process.poll() is not None for process in started)


def _examples(exported: Exported) -> list[bytes]:
    return [example.SerializeToString() for example in exported.examples.values()]


def test_a_right_model_is_blessed_with_what_was_measured(
    exported: Exported, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    found = validate(str(exported.directory), _examples(exported), LABELS, BOUNDS, log)
    assert found.reasons == ()
    assert found.p50_ms is not None
    assert found.p99_ms is not None
    assert 0 < found.p50_ms <= found.p99_ms
    assert found.memory_mb is not None
    assert found.memory_mb > 100  # no process with TensorFlow in it takes less
    assert log.exists()


def test_wrong_numbers_labels_and_bounds_are_each_told(exported: Exported, tmp_path: Path) -> None:
    # The Evaluator's path sees another image's embedding than the one that is sent.
    swapped = [tf.train.Example.FromString(example) for example in _examples(exported)]
    embedding = exported.transformed.recipe.embedding
    values = swapped[0].features.feature[embedding].float_list.value
    values[:] = [-10 * value for value in values]
    examples = [example.SerializeToString() for example in swapped]
    found = validate(
        str(exported.directory),
        examples,
        LABELS[::-1],
        Serving(p50_ms=1e-6, memory_mb=1.0),
        tmp_path / "log",
    )
    told = "\n".join(found.reasons)
    for way in ("REST", "gRPC"):
        for signature in ("serving_default", "serving_examples"):
            assert f"{way} {signature}: probabilities of 1 of {len(examples)} images" in told
            assert f"{way} {signature}: " in told
    assert "labels are wrong" in told
    assert "REST classify: the model's labels are cat, größe, 猫 two" in told
    assert "median latency" in told
    assert "peak memory" in told


def test_a_model_that_does_not_load_is_refused_with_the_server_s_words(
    exported: Exported, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(exported.directory, broken)
    shutil.rmtree(broken / "variables")
    found = validate(str(broken), _examples(exported), LABELS, BOUNDS, tmp_path / "log")
    (reason,) = found.reasons
    # TF Serving's own ends where it cannot load what it starts with.
    assert reason.startswith(("the server does not load the model: ", "the server ended with code"))


def test_a_server_that_takes_too_long_is_an_outage(exported: Exported, tmp_path: Path) -> None:
    impatient = Serving(load_seconds=0.2)
    with pytest.raises(OutageError, match="run again"):
        validate(str(exported.directory), _examples(exported), LABELS, impatient, tmp_path / "log")


def test_tf_serving_s_own_server_is_taken_where_it_is_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    binary = tmp_path / "tensorflow_model_server"
    binary.write_text('#!/bin/sh\necho "$@"\nexit 3\n')
    binary.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    log = tmp_path / "log"
    with (
        pytest.raises(OutageError, match="ended with code 3"),
        server_process.serving("/the/models", log, 0) as server,
    ):
        server.wait(60)
    assert "--model_name=candidate --model_base_path=/the/models" in log.read_text()
