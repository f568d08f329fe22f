"""Kills servers and pushers at random moments and checks every answer; test_versions runs it.

It imports TensorFlow once. Each attempt forks this process, which has a single thread.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import select
import signal
import sys
import time
import traceback
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import tensorflow as tf

from components import model_store
from serving import server
from serving.options import Options

MODEL = "half_plus"
ATTEMPTS = 10  # two processes are killed in each
PATIENCE = 300.0  # seconds until a server that is to answer must have answered
KEPT = 20  # versions: a slow machine needs time to load one before it is deleted
ENOUGH = 5  # answers, and new versions, before a serving server is killed


class Checked:
    """The versions seen so far, and how the answers compare with them."""

    def __init__(self, store: str, models: list[str]) -> None:
        """Knows the models by their digests; their folders are named after their constants."""
        self.constants: dict[int, float] = {}
        self.wrong: list[object] = []
        self.judged = 0
        self._store = store
        self._digests = {model_store.digest(each): float(Path(each).name) for each in models}

    def constant(self, version: int) -> float | None:
        """Returns the constant of a version's model; None where its files are not whole."""
        try:
            return self._digests.get(model_store.digest(model_store.path(self._store, version)))
        except tf.errors.NotFoundError:
            return None  # the pusher has just deleted it

    def look(self) -> None:
        """Learns the constants of new versions."""
        for version in set(model_store.versions(self._store)) - self.constants.keys():
            constant = self.constant(version)
            if constant is not None:
                self.constants[version] = constant

    def judge(self, version: int, answer: float) -> None:
        """Compares an answer with its version, unless the version came and went unseen."""
        if version in self.constants:
            self.judged += 1
            if answer != self.constants[version]:
                self.wrong.append([version, answer])

    def halves(self) -> None:
        """Looks for versions that are not whole."""
        for version in model_store.versions(self._store):
            if self.constant(version) is None:
                self.wrong.append(["half a version", version])


def _serve(store: str, told: int) -> None:
    os.dup2(told, 1)
    options = Options(model_name=MODEL, model_base_path=store, port=0, grpc_port=0)
    server.run(options, as_json=True)


def _push(models: list[str], store: str) -> None:
    for number in range(1_000_000):
        model_store.publish(models[number % len(models)], store, keep=KEPT)
        time.sleep(0.1)


def _fork(job: Callable[..., None], *arguments: object) -> int:
    assert len(os.listdir("/proc/self/task")) == 1, "a fork would lose threads"  # noqa: PTH208
    child = os.fork()
    if child == 0:
        try:
            job(*arguments)
        finally:
            # The job must not end before it is killed.
            traceback.print_exc()
            os._exit(1)
    return child


@contextlib.contextmanager
def _running(models: list[str], store: str) -> Iterator[tuple[list[int], int]]:
    """Starts a pusher and a server; gives both and the pipe on which the server tells its port."""
    read, write = os.pipe()
    children = [_fork(_push, models, store), _fork(_serve, store, write)]
    os.close(write)
    try:
        yield children, read
    finally:
        os.close(read)
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def _request(port: int, path: str, body: bytes | None = None) -> Any:
    """Returns the answer as JSON; None where there is none or it is an error."""
    address = f"http://127.0.0.1:{port}/v1/models/{MODEL}{path}"
    try:
        with urllib.request.urlopen(urllib.request.Request(address, body), timeout=10) as answer:
            return json.loads(answer.read())
    except (urllib.error.URLError, OSError, http.client.HTTPException):
        return None


def _ask(port: int) -> tuple[int, float] | None:
    """Returns the newest version that is available, and the constant of its answer."""
    told = _request(port, "")
    for status in told["model_version_status"] if told else []:
        if status["state"] == "AVAILABLE":
            version = int(status["version"])
            answer = _request(port, f"/versions/{version}:predict", b'{"instances": [0.0]}')
            return (version, answer["predictions"][0]) if answer else None
    return None


def _watch(told: int, checked: Checked, while_serving: bool) -> int:
    """Asks the server until the moment to kill it; returns the number of answers.

    Args:
        told: the pipe on which the server tells its port.
        checked: judges the answers.
        while_serving: True waits for enough answers and versions; False for a random time, which
            may end before the server listens.
    """
    judged, versions, answers = checked.judged, len(checked.constants), 0
    end = time.monotonic() + (PATIENCE if while_serving else random.uniform(0.5, 4.0))
    enough = not while_serving
    port = None
    while time.monotonic() < end:
        checked.look()
        if port is None and select.select([told], [], [], 0.02)[0]:
            port = json.loads(os.read(told, 65536))["port"]
        found = None if port is None else _ask(port)
        if found is None:
            time.sleep(0.02)
            continue
        answers += 1
        checked.judge(*found)
        if not enough:
            enough = min(checked.judged - judged, len(checked.constants) - versions) >= ENOUGH
            end = time.monotonic() + random.uniform(0.0, 1.0) if enough else end
    assert enough, "the server did not answer in time"
    return answers


def main(models: Path, store: str) -> None:
    """Prints one line of JSON: how many were killed, how many answered before, what was wrong."""
    random.seed(7)
    candidates = [str(models / "2"), str(models / "3")]
    checked = Checked(store, candidates)
    killed = served = 0
    for attempt in range(ATTEMPTS):
        with _running(candidates, store) as (children, told):
            served += _watch(told, checked, while_serving=attempt % 2 == 0) > 0
            for child in random.sample(children, 2):
                os.kill(child, signal.SIGKILL)
                children.remove(child)
                killed += os.WIFSIGNALED(os.waitpid(child, 0)[1])
        checked.halves()
    results = {"killed": killed, "served": served, "judged": checked.judged}
    print(json.dumps({**results, "wrong": checked.wrong, "versions": len(checked.constants)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
