"""Versions come, go, change labels and break, and every answer stays right."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from serving.models import Models
from serving.options import Options
from serving.server import Server
from tests.serving.conftest import (
    MODEL,
    PATIENCE,
    Client,
    Serve,
    half_plus,
    in_threads,
    model_config,
    write_model,
)

pytestmark = pytest.mark.slow

PREDICT = f"/v1/models/{MODEL}:predict"


def _until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, "the server did not reach this state"
        time.sleep(0.05)


def _constant(client: Client, path: str = PREDICT) -> float:
    (value,) = client.post(path, {"instances": [0.0]}).json["predictions"]
    return float(value)


def test_new_versions_under_load_cost_no_request(
    serve: Serve, models: Path, tmp_path: Path
) -> None:
    shutil.copytree(models / "2", tmp_path / "2")
    client = serve(Options(model_name=MODEL, model_base_path=str(tmp_path)))
    done = threading.Event()
    seen: list[float] = []
    wrong: list[object] = []

    def ask(number: int) -> None:
        while not done.is_set():
            answer = client.post(PREDICT, {"instances": [float(number)]})
            constant = answer.json["predictions"][0] - number / 2 if answer.status == 200 else None
            if constant not in (2.0, 3.0, 4.0):
                wrong.append(answer)
            else:
                seen.append(constant)

    threads = in_threads(4, ask)
    _until(lambda: 2.0 in seen)
    for version in (3, 4):
        write_model(tmp_path / str(version), version)
        _until(lambda version=version: seen[-1] == version)
    shutil.rmtree(tmp_path / "4")
    _until(lambda: seen[-1] == 3)
    done.set()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_server_without_a_version_says_what_it_waits_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "models"
    told = f"{MODEL}: no version in {folder} yet; waiting for one"
    options = Options(port=0, grpc_port=0, model_base_path=str(folder), model_name=MODEL)
    Server(options).stop()
    assert told in caplog.messages
    caplog.clear()
    write_model(folder / "2", 2)
    Server(options).stop()
    assert told not in caplog.messages


def test_a_version_that_does_not_load_takes_nothing_away(
    serve: Serve, models: Path, tmp_path: Path
) -> None:
    shutil.copytree(models / "2", tmp_path / "2")
    client = serve(Options(model_name=MODEL, model_base_path=str(tmp_path)))
    (tmp_path / "9").mkdir()
    (tmp_path / "9" / "saved_model.pb").write_bytes(b"half of it")

    def failed() -> bool:
        statuses = client.get(f"/v1/models/{MODEL}").json["model_version_status"]
        return statuses[0]["version"] == "9" and statuses[0]["state"] == "END"

    _until(failed)
    statuses = client.get(f"/v1/models/{MODEL}").json["model_version_status"]
    assert statuses[0]["status"]["error_code"] != "OK"
    assert statuses[1] == {
        "version": "2",
        "state": "AVAILABLE",
        "status": {"error_code": "OK", "error_message": ""},
    }
    assert _constant(client) == 2


def test_a_version_that_is_removed_while_it_warms_up_takes_nothing_away(
    serve: Serve, models: Path, tmp_path: Path
) -> None:
    shutil.copytree(models / "2", tmp_path / "2")
    client = serve(Options(model_name=MODEL, model_base_path=str(tmp_path)))
    coming = tmp_path / ".3"
    shutil.copytree(models / "3", coming)
    log = prediction_log_pb2.PredictionLog()
    log.predict_log.request.inputs["x"].CopyFrom(tf.make_tensor_proto([0.0]))
    (coming / "assets.extra").mkdir()
    with tf.io.TFRecordWriter(str(coming / "assets.extra/tf_serving_warmup_requests")) as file:
        for _ in range(1000):
            file.write(log.SerializeToString())
    coming.rename(tmp_path / "3")

    def states() -> dict[str, str]:
        told = client.get(f"/v1/models/{MODEL}").json["model_version_status"]
        assert _constant(client) in (2, 3)
        return {status["version"]: status["state"] for status in told}

    _until(lambda: "3" in states())
    shutil.rmtree(tmp_path / "3")
    _until(lambda: states() == {"2": "AVAILABLE", "3": "END"})
    assert _constant(client) == 2


def test_labels_move_with_the_config_file(
    serve: Serve, models: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "models.config"
    file.write_text(model_config(models, {"stable": 2}))
    client = serve(Options(models_config=str(file)))
    stable = f"/v1/models/{MODEL}/labels/stable:predict"
    assert _constant(client, stable) == 2
    file.write_text(model_config(models, {"stable": 3}))
    _until(lambda: _constant(client, stable) == 3)
    file.write_text("{ not a config")
    if isinstance(client.server, Server):
        _until(lambda: "the old model config stays" in caplog.text)
    else:
        time.sleep(1.5)  # TF Serving looks once a second, and tells nobody that it has looked
    assert _constant(client, stable) == 3


@contextlib.contextmanager
def _started(base_path: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Starts a server as a process; gives the process and the port that it tells."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "serving", "--model-base-path", str(base_path)),
            *("--model-name", MODEL, "--port", "0", "--grpc-port", "0", "--json"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield process, json.loads(process.stdout.readline())["port"]
    finally:
        process.kill()
        process.wait()


def _ask(port: int, x: float) -> float:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{PREDICT}", json.dumps({"instances": [x]}).encode()
    )
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        return float(json.loads(answer.read())["predictions"][0])


def test_a_config_that_changes_while_models_load_is_followed(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "models.config"
    file.write_text(model_config(models, {"stable": 2}))
    start = Models.start

    def change(started: Models) -> None:
        start(started)
        file.write_text(model_config(models, {"stable": 3}))

    monkeypatch.setattr(Models, "start", change)
    server = Server(Options(models_config=str(file), port=0, grpc_port=0))
    client = Client(server, grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}"))
    try:
        _until(lambda: _constant(client, f"/v1/models/{MODEL}/labels/stable:predict") == 3)
    finally:
        client.channel.close()
        server.stop()


def test_sigterm_lets_requests_finish_and_ends_with_code_0(models: Path) -> None:
    answers: list[float] = []
    ends: list[object] = []
    with _started(models) as (process, port):

        def ask(_: int) -> None:
            try:
                while True:
                    answers.append(_ask(port, 1.0))
            except Exception as error:
                ends.append(getattr(error, "reason", error))

        threads = in_threads(4, ask)
        _until(lambda: len(answers) > 50)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
        for thread in threads:
            thread.join()
    assert set(answers) == {half_plus(1.0, 3)}
    # The server finishes every request that it takes: each client ends without a connection, and
    # none with half an answer or an error status.
    assert len(ends) == 4
    assert all(isinstance(end, ConnectionError) for end in ends), ends


def test_servers_and_pushers_killed_at_random_never_serve_a_wrong_version(
    models: Path, tmp_path: Path
) -> None:
    # The script forks, because 20 new processes would spend minutes on importing TensorFlow. It
    # bounds its own waits.
    script = Path(__file__).with_name("killed_server.py")
    done = subprocess.run(
        [sys.executable, str(script), str(models), str(tmp_path / "store")],
        capture_output=True,
        text=True,
        check=False,
        env={
            **os.environ,
            "PYTHONHASHSEED": str(random.randrange(1000)),
            # A fork is safe without other threads, so OpenBLAS and Arrow's jemalloc start none.
            "OPENBLAS_NUM_THREADS": "1",
            "JE_ARROW_MALLOC_CONF": "background_thread:false",
        },
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["wrong"] == []
    assert told["killed"] >= 20, done.stderr[-4000:]
    assert told["served"] >= 5
    # The script compares each answer with the files of the version that the server names.
    assert told["judged"] >= 20
    assert told["versions"] >= 20
