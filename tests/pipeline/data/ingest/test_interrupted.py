"""An ingest that is killed, stopped or out of space leaves nothing, and spans stay whole."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.data.ingest import publication, spans_there
from tests.conftest import PATIENCE_SECONDS
from tests.e2e.conftest import command, retrain, start

# One process loads TensorFlow and forks for each attempt, which dies at a step that does not depend
# on the machine's speed: a step is an image, or a call that has a path below the data root.
_KILL = """
import os, shutil, signal, sys, traceback
from pathlib import Path
from pipeline.data.ingest import part, publication, sources, span_writer
root = Path(sys.argv[1])
digits = sources.digits()
# Each fork would take a second to trace the model's decoder, which has no part in what is tested.
part._reads = lambda encoded: True

def tree():
    return {str(f.relative_to(root)): f.read_bytes() for f in root.rglob("*") if f.is_file()}

def write(number, start, last=None):
    steps = 0
    def step():
        nonlocal steps
        steps += 1
        if steps == last:
            os.kill(os.getpid(), signal.SIGKILL)
    def watch(event, given):
        path = given[0] if given else None
        if isinstance(path, (str, os.PathLike)) and os.fspath(path).startswith(str(root)):
            step()
    if last != 0:
        to_example = part.to_example
        part.to_example = lambda *given: step() or to_example(*given)
        sys.addaudithook(watch)
    images = digits.images[start:start + 40]
    source = sources.SourceSet(digits.labels, images, "digits")
    span_writer.write(source, root, number, span_writer.Options(overwrite=True))
    return steps

def child(*given):
    answer, question = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(question, b"%d" % write(*given))
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    os.close(question)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    with open(answer) as told:
        return code, told.read()

def undisturbed(*spans):
    shutil.rmtree(root, ignore_errors=True)
    for number, start in spans:
        assert child(number, start, 0)[0] == 0
    return tree()

def again():
    shutil.rmtree(root)
    shutil.copytree(f"{root}-old", root)

old = (3, 100)
whole = undisturbed(old)
shutil.copytree(root, f"{root}-old")
replaced = undisturbed(old, (3, 0))
beside = undisturbed(old, (4, 0))
again()
code, steps = child(3, 0)
assert code == 0 and tree() == replaced
steps = int(steps)
# All of the last steps, which publish the span, and some of those before.
stops = [*range(1, steps - 24, steps // 6), *range(steps - 24, steps + 1)]
left = restored = 0
for stop in stops:
    again()
    assert child(3, 0, stop)[0] == -signal.SIGKILL
    left += any(child.name.startswith(".") for child in root.iterdir())
    gone = not (root / "span-3").exists()
    if gone or stop % 2:
        # What comes next need not be the same span: this one is whole, old or new.
        publication.recover(root)
        assert (root / "span-3").is_dir()
        assert tree() in (whole, replaced), stop
        assert not [child for child in root.iterdir() if child.name.startswith(".")], stop
        restored += gone
    if stop % 2 == 0:
        assert child(3, 0, 0)[0] == 0
        assert tree() == replaced, stop
again()
child(3, 0, steps // 2)
assert child(4, 0, 0)[0] == 0
assert tree() == beside
print(left, restored)
"""


@pytest.mark.slow
def test_what_a_killed_ingest_left_is_removed_by_the_next_one(tmp_path: Path) -> None:
    found = subprocess.run(
        [sys.executable, "-c", _KILL, str(tmp_path / "data")],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    assert found.returncode == 0, found.stderr[-2000:]
    left, restored = map(int, found.stdout.split())
    assert left > 10, "too few were killed in the middle to show anything"
    assert restored, "none was killed between the two renames"


def test_leftovers_of_any_span_go_and_a_replaced_one_comes_back(tmp_path: Path) -> None:
    for name in ("span-1", ".span-1.replaced", ".span-2.replaced", ".span-7.partial/_notes"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "file").write_text(name)
    (tmp_path / ".labels.partial").write_text("a\n")
    with publication.only_writer(tmp_path):
        publication.recover(tmp_path)
        assert (tmp_path / ".span-7.partial").exists(), "another ingest is writing it"
    publication.recover(tmp_path)
    assert sorted(child.name for child in tmp_path.iterdir()) == ["span-1", "span-2"]
    assert (tmp_path / "span-1" / "file").read_text() == "span-1"
    assert (tmp_path / "span-2" / "file").read_text() == ".span-2.replaced"
    publication.recover(tmp_path / "missing")


def _arguments(source: Path, root: Path, *options: str) -> list[str]:
    return ["ingest", str(source), "--output", str(root), *options]


def _tree(root: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(root)): file.read_bytes() for file in root.rglob("*") if file.is_file()
    }


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Two classes of 20 images each, which take 43 kB each however they are written."""
    for number in range(40):
        file = tmp_path / "in" / "ab"[number % 2] / f"{number}.bmp"
        file.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(number).integers(0, 256, (120, 120, 3), dtype=np.uint8)
        Image.fromarray(noise).save(file)
    return tmp_path / "in"


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_ingest_says_so_in_a_line_and_leaves_nothing(
    source: Path, tmp_path: Path, number: signal.Signals
) -> None:
    root = tmp_path / "data"
    for index in range(3000):
        (source / "a" / f"more-{index}.bmp").symlink_to("0.bmp")
    output, errors = tmp_path / "output", tmp_path / "errors"
    ingest = start(_arguments(source, root), output, errors)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not list(root.glob(".span-0.partial/.*.draft")) and time.monotonic() < deadline:
        assert not ingest.ended()
        time.sleep(0.01)
    os.kill(ingest.pid, number)
    assert ingest.ended(PATIENCE_SECONDS)
    assert ingest.wait() == 130
    (line,) = errors.read_text("utf-8").splitlines()
    assert "interrupted" in line
    assert not root.exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(disk)]
    if not shutil.which("mount") or subprocess.run(mount, check=False).returncode:
        pytest.skip("this process may not mount a small disk")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.slow
def test_a_full_disk_costs_no_span(source: Path, tmp_path: Path, small_disk: Path) -> None:
    few = tmp_path / "few"
    for name in "ab":
        (few / name).mkdir(parents=True)
        shutil.copy(min((source / name).iterdir()), few / name / "0.bmp")
    root = small_disk / "data"
    assert retrain(*_arguments(few, root)).code == 0
    before = _tree(root)
    for options in ((), ("--span", "0", "--overwrite")):
        done = retrain(*_arguments(source, root, *options))
        assert done.code == 1
        (line,) = done.errors.splitlines()
        assert f"no space left in {root}" in line
        assert _tree(root) == before
        assert spans_there(root) == {0}
        assert not list(root.glob(".*"))


def test_a_file_that_may_not_grow_is_told_in_a_line(source: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    done = subprocess.run(
        command(*_arguments(source, root)),
        preexec_fn=limit,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "File too large" in line
    assert not root.exists()
