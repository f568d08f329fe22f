"""A run that is killed, in any component, and started again ends as if nothing had happened."""

import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import tensorflow as tf
from ml_metadata import errors

from pipeline.history.metadata import History
from tests.conftest import PATIENCE_SECONDS
from tests.e2e.conftest import Finished, Workspace, make_workspace, start

pytestmark = pytest.mark.slow

# Each waits for the one before, so that each run is cut off further on.
NODES = (
    "example-gen",
    "statistics-gen",
    "example-validator",
    "data-gate",
    "transform",
    "trainer",
    "evaluator",
    "serving-validator",
    "pusher",
)
_BEGUN = ".system/executor_execution/*"


# What their executors begin to write long before they end.
HALFWAY = {"transform": "transformed_examples/*/*/*", "trainer": "model/*/Format-Serving/*"}


def _stop_when(workspace: Workspace, reached: Callable[[], bool], number: signal.Signals) -> int:
    """Signals a run's group once something is reached; returns its exit code."""
    printed = workspace.folder / "printed.txt"
    printed.unlink(missing_ok=True)
    run = start(workspace.arguments(), printed, printed)
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not reached():
            assert not run.ended(), f"the run ended too soon: {printed.read_text()[-2000:]}"
            assert time.monotonic() < deadline, "what was waited for did not come"
            time.sleep(0.002)
        os.killpg(run.pid, number)
        assert run.ended(PATIENCE_SECONDS), "the run goes on"
    finally:
        if not run.ended():
            os.killpg(run.pid, signal.SIGKILL)
    return run.wait()


def _stop_in(workspace: Workspace, node: str, number: signal.Signals, sign: str = _BEGUN) -> int:
    """Signals a run when something new appears in a node's folder; returns its exit code.

    What is waited for is, by default, the sign that the node's executor was started.
    """
    folder = workspace.output / "artifacts" / node
    before = set(folder.glob(sign))
    return _stop_when(workspace, lambda: not set(folder.glob(sign)) <= before, number)


def _assert_whole(store: Path) -> None:
    for version in store.glob("*"):
        if version.name.isdigit():
            signatures = tf.saved_model.load(str(version)).signatures
            answer = signatures["serving_default"](image_bytes=tf.constant([], tf.string))
            assert answer["probabilities"].shape == (0, 10)


def test_killed_runs_go_on_to_the_same_result(
    tmp_path: Path, digits: Path, request: pytest.FixtureRequest
) -> None:
    workspace = make_workspace(tmp_path, digits)
    assert _stop_in(workspace, "example-gen", signal.SIGINT) == 130
    for node in NODES:
        assert _stop_in(workspace, node, signal.SIGKILL) == -signal.SIGKILL
        if node in HALFWAY:
            assert _stop_in(workspace, node, signal.SIGKILL, HALFWAY[node]) == -signal.SIGKILL
        _assert_whole(workspace.store)
    last = workspace.run()
    assert last.code == 0, last.output + last.errors
    assert last.json["verdict"] == "pushed"
    assert len(workspace.versions()) == 1
    _assert_whole(workspace.store)
    # Asked for last, as another process of pytest may have run it meanwhile.
    first_run: Finished = request.getfixturevalue("first_run")
    assert last.json["metrics"] == pytest.approx(first_run.json["metrics"], abs=0.01)


@pytest.mark.parametrize("node", ["production-model", "schema-gen", "span-drift"])
def test_what_runs_beside_others_may_be_killed_too(node: str, tmp_path: Path, digits: Path) -> None:
    # Another may have gone first, so only in a first run is it sure to be reached.
    workspace = make_workspace(tmp_path, digits)
    assert _stop_in(workspace, node, signal.SIGKILL) == -signal.SIGKILL
    history = History(str(workspace.output / "metadata.db"), "digits")

    def done() -> bool:
        with contextlib.suppress(errors.StatusError):  # the run holds the database's lock
            (component,) = history.components(history.runs()[-1], [node])
            return component.state == "done"
        return False

    # How such runs end is the test above's; here the next one must come past the node.
    assert _stop_when(workspace, done, signal.SIGKILL) == -signal.SIGKILL
