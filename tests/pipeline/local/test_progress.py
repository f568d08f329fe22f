"""Progress prints each component once, when it has finished."""

from __future__ import annotations

import collections
import io
import sys
import threading
from types import SimpleNamespace

import pytest
from rich.console import Console

from pipeline.history.metadata import ComponentRun
from pipeline.local import progress
from tests.conftest import PATIENCE_SECONDS
from trainer import progress as training


class _Looked:
    """Components to look at, and a way to wait until they have been looked at."""

    def __init__(self, *components: ComponentRun) -> None:
        """Holds the components; they may be changed while they are shown."""
        self.components = list(components)
        self._looks = threading.Semaphore(0)

    def __call__(self) -> list[ComponentRun]:
        self._looks.release()
        return list(self.components)

    def wait(self) -> None:
        """Waits until two more looks have begun, and so what one of them saw is printed."""
        while self._looks.acquire(blocking=False):
            pass
        for _ in range(2):
            assert self._looks.acquire(timeout=PATIENCE_SECONDS)


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    training.new_notes()  # what other tests left
    monkeypatch.setattr(progress, "_POLL_SECONDS", 0.01)


@pytest.mark.parametrize(
    ("state", "text"),
    [
        ("done", "done in 3.1 s"),
        ("failed", "failed after 3.1 s"),
        ("interrupted", "interrupted after 3.1 s"),
        ("cached", "cached"),
        ("running", "running"),
    ],
)
def test_a_line_says_state_and_time(state: str, text: str) -> None:
    assert progress.line(ComponentRun("trainer", state, 0.0, 3.14)) == text


@pytest.mark.usefixtures("_quick")
def test_what_a_component_has_to_tell_is_printed_once_while_it_runs() -> None:
    console = Console(file=io.StringIO(), width=100)
    looked = _Looked(ComponentRun("data-gate", "running", 0.0, 0.0))
    with progress.shown(console, looked):
        training.note("few images of [cat]")
        looked.wait()
        assert console.file.getvalue().count("few images of [cat]") == 1  # type: ignore[attr-defined]


@pytest.mark.usefixtures("_quick")
def test_what_finished_is_printed_once_and_the_rest_not_at_all() -> None:
    console = Console(file=io.StringIO(), width=100)
    seen = _Looked(ComponentRun("transform", "running"), ComponentRun("x", "not run"))
    with progress.shown(console, seen):
        seen.wait()
        seen.components[0] = ComponentRun("transform", "done", 0.0, 2.0)
        seen.wait()
        seen.wait()
        seen.components[1] = ComponentRun("x", "failed", 0.0, 1.0)  # seen by the last look
    lines = [" ".join(line.split()) for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]
    assert [line for line in lines if line] == ["transform done in 2.0 s", "x failed after 1.0 s"]


@pytest.mark.usefixtures("_quick")
def test_a_terminal_shows_what_runs_and_nothing_that_components_print(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "time", SimpleNamespace(time=lambda: 107.0))
    console = Console(file=io.StringIO(), width=100, force_terminal=True)
    seen = _Looked(ComponentRun("trainer", "running", 100.0))
    with progress.shown(console, seen):
        seen.wait()
        print("what Keras prints")
        print("what TFX logs", file=sys.stderr)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "trainer: 7 s" in shown
    assert "what" not in shown
    told = capsys.readouterr()
    assert (told.out, told.err) == ("what Keras prints\n", "what TFX logs\n")


def test_an_error_of_the_run_passes_through() -> None:
    with (
        pytest.raises(RuntimeError, match="boom"),
        progress.shown(Console(file=io.StringIO()), lambda: ()),
    ):
        raise RuntimeError("boom")


def test_what_was_counted_is_told_at_the_end() -> None:
    console = Console(file=io.StringIO(), width=100)
    with progress.counted(console, "Writing images", None, lambda: 41):
        pass
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert shown.strip().startswith("Writing images: 41, ")


def test_a_training_is_shown_with_a_bar_and_the_time_left() -> None:
    console = Console(file=io.StringIO(), width=120)
    state = training.Progress("finetune", 3, 9, 0.25, 360.0, {"accuracy": 0.5})
    console.print(progress._running("trainer", 61.0, state))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "trainer: 61 s" in text
    assert "━━━━━" in text
    assert "finetune: epoch 3/9, 25 %, about 6 min left, accuracy 0.500" in " ".join(text.split())
    assert progress._running("pusher", 3.0, None) == "pusher: 3 s"
    assert progress._running("pusher", 3.0, state) == "pusher: 3 s"


def test_images_are_counted_where_they_are_checked_and_evaluated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(training, "_counts", collections.Counter())
    assert progress._running("example-gen", 4.0, None) == "example-gen: 4 s"
    training.count("checked", 1000)
    training.count("checked", 200)
    expected = "example-gen: 4 s, 1,200 images checked, 300 a second"
    assert progress._running("example-gen", 4.0, None) == expected
    assert progress._running("evaluator", 4.0, None) == "evaluator: 4 s"


def test_the_whole_is_estimated_from_how_long_components_usually_take() -> None:
    done = ComponentRun("example-gen", "done", 0.0, 9.0)
    running = ComponentRun("transform", "running", 100.0, usual=60.0)
    ahead = ComponentRun("trainer", "not run", usual=20.0)
    assert progress.seconds_left([done, running, ahead], now=110.0) == 70.0
    assert progress.seconds_left([running, ahead], now=500.0) == 20.0
    assert progress.seconds_left([done, ComponentRun("pusher", "not run")], now=0.0) is None
    assert progress.seconds_left([done], now=0.0) is None


def test_all_that_runs_is_shown_with_an_estimate_of_the_whole() -> None:
    running = [
        ComponentRun(name, "running", 100.0, usual=60.0) for name in ("evaluator", "trainer")
    ]
    console = Console(file=io.StringIO(), width=100)
    console.print(progress._status([*running, ComponentRun("pusher", "not run", usual=5.0)], 110.0))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "evaluator: 10 s" in text
    assert "trainer: 10 s" in text
    assert "the whole: about 2 min left" in text
    assert progress._status([ComponentRun("pusher", "not run")], 0.0) == "starting"
