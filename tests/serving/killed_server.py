"""Kills servers and pushers at random moments, and checks every answer; run by test_versions.

Imports are done once and each attempt is a fork of this process, before TensorFlow has any thread.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import socket
import sys
import time
import traceback
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import tensorflow as tf

from components import model_store
from serving import server
from serving.options import Options

MODEL = "half_plus"
ATTEMPTS = 10  # two processes are killed in each


def _serve(store: str, port: int) -> None:
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 1)
    options = Options(model_name=MODEL, model_base_path=store, port=port, grpc_port=0)
    server.run(options, as_json=True)


def _push(models: list[str], store: str) -> None:
    for number in range(1000):
        model_store.publish(models[number % len(models)], store, keep=5)
        time.sleep(0.1)


def _fork(job: object, *arguments: object) -> int:
    child = os.fork()
    if child == 0:
        try:
            job(*arguments)  # type: ignore[operator]
        finally:
            # Whatever it is, it was to go on until it was killed.
            traceback.print_exc()
            os._exit(1)
    return child


def _free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
        return port


def _request(port: int, path: str, body: bytes | None = None) -> Any:
    """Returns the answer as JSON; None where there is none or it is an error."""
    address = f"http://127.0.0.1:{port}/v1/models/{MODEL}{path}"
    try:
        with urllib.request.urlopen(urllib.request.Request(address, body), timeout=10) as answer:
            return json.loads(answer.read())
    except (urllib.error.URLError, OSError, http.client.HTTPException):
        return None


def _ask(port: int) -> tuple[int, float] | None:
    """Returns the newest version that is available, and the constant that it answers with."""
    told = _request(port, "")
    statuses = told["model_version_status"] if told else []
    for status in statuses:
        if status["state"] == "AVAILABLE":
            answer = _request(
                port, f"/versions/{status['version']}:predict", b'{"instances": [0.0]}'
            )
            return (int(status["version"]), answer["predictions"][0]) if answer else None
    return None


def _constant(store: str, version: int, digests: dict[str, float]) -> float | None:
    """Returns the constant of the model that a version is; None where its files are none whole."""
    try:
        return digests.get(model_store.digest(model_store.path(store, version)))
    except tf.errors.NotFoundError:
        return None  # it was deleted meanwhile


def main(models: Path, store: str) -> None:
    """Prints one line of JSON: how many were killed, how many answered before, what was wrong."""
    random.seed(7)
    candidates = [str(models / "2"), str(models / "3")]
    digests = {model_store.digest(model): float(Path(model).name) for model in candidates}
    constants: dict[int, float] = {}
    wrong: list[object] = []
    killed = served = judged = 0
    for attempt in range(ATTEMPTS):
        port = _free_port()
        pushing = _fork(_push, candidates, store)
        serving = _fork(_serve, store, port)
        # Every second attempt is killed while it serves, however slow the machine; the others
        # may be killed before that.
        while_serving = attempt % 2 == 0
        moment = time.monotonic() + (60 if while_serving else random.uniform(0.5, 4.0))
        answered = 0
        while time.monotonic() < moment:
            for version in set(model_store.versions(store)) - constants.keys():
                constant = _constant(store, version, digests)
                if constant is not None:
                    constants[version] = constant
            told = _ask(port)
            if told is None:
                time.sleep(0.02)
                continue
            if while_serving and not answered:
                moment = time.monotonic() + random.uniform(0.2, 1.5)
            answered += 1
            version, answer = told
            # A version may come and go without being seen here.
            if version in constants:
                judged += 1
                if answer != constants[version]:
                    wrong.append([attempt, version, answer])
        served += answered > 0
        for child in random.sample([pushing, serving], 2):
            os.kill(child, signal.SIGKILL)
            killed += os.WIFSIGNALED(os.waitpid(child, 0)[1])
        for version in model_store.versions(store):
            if _constant(store, version, digests) is None:
                wrong.append([attempt, "half a version", version])
    told = {"killed": killed, "served": served, "judged": judged, "wrong": wrong}
    print(json.dumps({**told, "versions": len(constants)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
