"""Kills servers and pushers at random moments, and checks every answer; run by test_versions.

Imports are done once and each attempt is a fork of this process, before TensorFlow has any thread.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from components import model_store
from serving import server
from serving.options import Options

MODEL = "half_plus"
ATTEMPTS = 12  # two processes are killed in each


def _serve(store: str, port: int) -> None:
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 1)
    os.dup2(devnull, 2)
    options = Options(model_name=MODEL, model_base_path=store, port=port, grpc_port=0)
    server.run(options, as_json=True)


def _push(models: list[str], store: str) -> None:
    for number in range(1000):
        model_store.publish(models[number % len(models)], store, keep=2)


def _fork(job: object, *arguments: object) -> int:
    child = os.fork()
    if child == 0:
        try:
            job(*arguments)  # type: ignore[operator]
        finally:
            os._exit(0)
    return child


def _ask(port: int) -> float | None:
    """Returns the constant that the server answered; None where it gave no answer."""
    address = f"http://127.0.0.1:{port}/v1/models/{MODEL}"
    try:
        with urllib.request.urlopen(
            urllib.request.Request(f"{address}:predict", b'{"instances": [0.0]}'), timeout=10
        ) as answer:
            return float(json.loads(answer.read())["predictions"][0])
    except (urllib.error.URLError, OSError):
        return None


def main(models: Path, store: str) -> None:
    """Prints one line of JSON: how many were killed, how many answered before, what was wrong."""
    random.seed(7)
    candidates = [str(models / "2"), str(models / "3")]
    wrong: list[object] = []
    killed = served = 0
    for attempt in range(ATTEMPTS):
        port = 20_000 + random.randrange(20_000)
        pushing = _fork(_push, candidates, store)
        serving = _fork(_serve, store, port)
        # Every second attempt is killed while it serves, however slow the machine; the others
        # may be killed before that.
        while_serving = attempt % 2 == 0
        moment = time.monotonic() + (60 if while_serving else random.uniform(0.5, 4.0))
        answered = 0
        while time.monotonic() < moment:
            told = _ask(port)
            if told is None:
                time.sleep(0.02)
            else:
                if while_serving and not answered:
                    moment = time.monotonic() + random.uniform(0.2, 1.5)
                answered += 1
                if told not in (2.0, 3.0):
                    wrong.append([attempt, told])
        served += answered > 0
        for child in random.sample([pushing, serving], 2):
            os.kill(child, signal.SIGKILL)
            killed += os.WIFSIGNALED(os.waitpid(child, 0)[1])
        whole = {model_store._digest(model) for model in candidates}
        for version in model_store.versions(store):
            if model_store._digest(model_store.path(store, version)) not in whole:
                wrong.append([attempt, "half a version", version])
    print(json.dumps({"killed": killed, "served": served, "wrong": wrong}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
