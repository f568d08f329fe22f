"""A version is in the model store whole or not at all, whatever happens to who publishes it."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import tensorflow as tf

from components import model_store
from tests.conftest import PATIENCE_SECONDS


def _model(folder: Path, content: str = "a") -> str:
    """Makes a folder that looks like a SavedModel."""
    (folder / "variables").mkdir(parents=True)
    (folder / "assets.extra").mkdir()
    (folder / "saved_model.pb").write_text(f"graph of {content}")
    (folder / "variables" / "variables.index").write_bytes(content.encode())
    (folder / "assets.extra" / "tf_serving_warmup_requests").write_bytes(b"\0\1")
    return str(folder)


def _content(folder: Path | str) -> dict[str, bytes]:
    root = Path(folder)
    return {
        str(file.relative_to(root)): file.read_bytes() for file in root.rglob("*") if file.is_file()
    }


def test_a_store_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    store = str(tmp_path / "store")
    assert model_store.versions(store) == ()
    assert model_store.newest(store) is None


def test_a_published_model_stands_whole_under_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "deep" / "store"
    model = _model(tmp_path / "model")
    monkeypatch.setattr(model_store.time, "time", lambda: 1_700_000_000.9)
    version = model_store.publish(model, str(store), keep=3)
    assert version == 1_700_000_000
    assert model_store.versions(str(store)) == (version,)
    assert _content(model_store.path(str(store), version)) == _content(model)
    assert [child.name for child in store.iterdir()] == [str(version)]


def test_versions_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for name in ("9", "10", "100", ".11.partial", "latest", "12.old", "-5"):
        (tmp_path / name).mkdir()
    assert model_store.versions(str(tmp_path)) == (9, 10, 100)
    assert model_store.newest(str(tmp_path)) == 100


@pytest.mark.parametrize("name", ["²", "①"])
def test_a_name_that_only_looks_like_a_number_is_passed_over(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / "3").mkdir()
    assert model_store.versions(str(tmp_path)) == (3,)


def test_a_model_published_again_is_not_stored_twice(tmp_path: Path) -> None:
    store = str(tmp_path / "store")
    first = model_store.publish(_model(tmp_path / "a"), store, keep=3)
    assert model_store.publish(_model(tmp_path / "copy"), store, keep=3) == first
    assert model_store.versions(store) == (first,)


def test_only_the_newest_version_counts_as_the_same_model(tmp_path: Path) -> None:
    # After a roll-back by re-training, the older model is the newest version again.
    store = str(tmp_path / "store")
    one, two = _model(tmp_path / "a", "a"), _model(tmp_path / "b", "b")
    published = [model_store.publish(model, store, keep=9) for model in (one, two, one)]
    assert published == sorted(set(published))
    assert model_store.versions(store) == tuple(published)


def test_a_file_under_another_name_makes_another_model(tmp_path: Path) -> None:
    store = str(tmp_path / "store")
    first = model_store.publish(_model(tmp_path / "a"), store, keep=3)
    other = Path(_model(tmp_path / "b"))
    (other / "saved_model.pb").rename(other / "saved_model.pbtxt")
    assert model_store.publish(str(other), store, keep=3) != first


def test_versions_rise_even_where_the_clock_is_behind(tmp_path: Path) -> None:
    store = tmp_path / "store"
    ahead = int(time.time()) + 10_000
    _model(store / str(ahead), "from the future")
    assert model_store.publish(_model(tmp_path / "a", "a"), str(store), keep=9) == ahead + 1
    assert model_store.publish(_model(tmp_path / "b", "b"), str(store), keep=9) == ahead + 2


@pytest.mark.parametrize("keep", [1, 2, 5])
def test_the_oldest_versions_go(tmp_path: Path, keep: int) -> None:
    store = tmp_path / "store"
    for version in (3, 20, 100):
        _model(store / str(version), str(version))
    new = model_store.publish(_model(tmp_path / "a"), str(store), keep=keep)
    assert model_store.versions(str(store)) == (3, 20, 100, new)[-keep:]
    assert {child.name for child in store.iterdir()} == {
        str(version) for version in (3, 20, 100, new)[-keep:]
    }


def test_what_was_left_over_is_ignored_and_cleared_away(tmp_path: Path) -> None:
    store = tmp_path / "store"
    _model(store / ".99999999999.partial", "half of it")
    assert model_store.newest(str(store)) is None
    version = model_store.publish(_model(tmp_path / "a"), str(store), keep=3)
    assert [child.name for child in store.iterdir()] == [str(version)]


def test_what_is_not_the_store_s_is_left_alone(tmp_path: Path) -> None:
    store = tmp_path / "store"
    _model(store / "rolled-back")
    (store / "models.config").write_text("x")
    (store / ".hidden").write_text("x")
    model_store.publish(_model(tmp_path / "a"), str(store), keep=1)
    assert (store / "rolled-back" / "saved_model.pb").exists()
    assert (store / "models.config").exists()
    assert (store / ".hidden").exists()


def test_a_version_can_be_copied_out(tmp_path: Path) -> None:
    store = str(tmp_path / "store")
    model = _model(tmp_path / "a")
    version = model_store.publish(model, store, keep=3)
    model_store.copy_version(store, version, str(tmp_path / "out"))
    assert _content(tmp_path / "out") == _content(model)


def test_copying_a_version_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    store = str(tmp_path / "store")
    version = model_store.publish(_model(tmp_path / "a"), store, keep=3)
    with pytest.raises(FileNotFoundError, match=str(version + 1)):
        model_store.copy_version(store, version + 1, str(tmp_path / "out"))
    with pytest.raises(FileNotFoundError):
        model_store.copy_version(f"{store}-not-there", version, str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


# One process loads TensorFlow and forks for each attempt: a publisher that starts anew would take
# seconds. The fork is safe, as nothing has used TensorFlow's threads by then. A publisher dies at
# its first call of the file system, the next one at its second, until one comes through: so each
# step is interrupted once, however fast or busy the machine is.
_KILL = """
import json, os, signal, sys, traceback
import tensorflow as tf
from components import model_store
store, model = sys.argv[1:]
copy = tf.io.gfile.copy

def counted(function, calls):
    def called(*given, **options):
        if next(calls, None) is None:
            if function is copy:
                with open(given[0], "rb") as source, open(given[1], "wb") as half:
                    half.write(source.read()[:-1])
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*given, **options)
    return called

def publish(calls):
    child = os.fork()
    if child == 0:
        try:
            for name in ("copy", "makedirs", "rename", "rmtree"):
                setattr(tf.io.gfile, name, counted(getattr(tf.io.gfile, name), calls))
            model_store.publish(model, store, keep=2)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

# The third time the store is full, and an old version goes.
whole = set()
for _ in range(3):
    code, attempt = -signal.SIGKILL, 0
    while code:
        with open(f"{model}/saved_model.pb", "w") as graph:
            graph.write(f"graph {len(whole)}")
        whole.add(model_store.digest(model))
        code = publish(iter(range(attempt)))
        assert code in (0, -signal.SIGKILL)
        names = os.listdir(store) if os.path.exists(store) else []
        versions = [f"{store}/{name}" for name in names if not name.startswith(".")]
        assert {model_store.digest(version) for version in versions} <= whole
        print(json.dumps([bool(code), len(versions) < len(names)]))
        attempt += 1
"""


@pytest.mark.slow
def test_a_publisher_that_is_killed_leaves_no_version_that_is_not_whole(tmp_path: Path) -> None:
    store = tmp_path / "store"

    done = subprocess.run(
        [sys.executable, "-c", _KILL, str(store), _model(tmp_path / "model")],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )

    assert done.returncode == 0, done.stderr[-2000:]
    attempts = [json.loads(line) for line in done.stdout.splitlines()]
    # Most were killed in the middle, or the test would show nothing.
    assert sum(killed for killed, _ in attempts) > 24
    assert sum(unfinished for _, unfinished in attempts) > 15
    # After any of this, the next publisher has a clean store again.
    version = model_store.publish(_model(tmp_path / "last", "last"), str(store), keep=2)
    assert model_store.newest(str(store)) == version
    assert not [child for child in store.iterdir() if child.name.startswith(".")]


def test_a_version_that_is_served_stays_whatever_its_age(tmp_path: Path) -> None:
    store = tmp_path / "store"
    for version in (3, 20, 100):
        _model(store / str(version), str(version))
    new = model_store.publish(_model(tmp_path / "a"), str(store), keep=1, needed=lambda: 20)
    assert model_store.versions(str(store)) == (20, new)


def test_publishers_wait_for_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = str(tmp_path / "store")
    models = [_model(tmp_path / name, name) for name in ("a", "b")]
    halfway, go_on = threading.Event(), threading.Event()
    copy = tf.io.gfile.copy

    def held(source: str, target: str, overwrite: bool = False) -> None:
        copy(source, target, overwrite=overwrite)
        halfway.set()
        go_on.wait(PATIENCE_SECONDS)

    monkeypatch.setattr(tf.io.gfile, "copy", held)
    first, second = (
        threading.Thread(target=model_store.publish, args=(model, store, 3)) for model in models
    )
    first.start()
    assert halfway.wait(PATIENCE_SECONDS)
    # Unless it waits, it deletes what the first has copied so far.
    second.start()
    second.join(0.3)
    go_on.set()
    for publisher in (first, second):
        publisher.join(PATIENCE_SECONDS)
    found = [_content(model_store.path(store, one)) for one in model_store.versions(store)]
    assert found == [_content(model) for model in models]
    # Nothing but versions lies in the store.
    assert sorted(child.name for child in Path(store).iterdir()) == [
        str(version) for version in model_store.versions(store)
    ]


class _ObjectStore:
    """TensorFlow's in-memory file system, which may rename; here it must not."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Forbids renaming, and counts copies."""
        self.copied: list[str] = []
        self.fails_at: str | None = None
        copy = tf.io.gfile.copy

        def noted(source: str, target: str, overwrite: bool = False) -> None:
            if self.fails_at is not None and target.endswith(self.fails_at):
                raise OSError("cut off")
            self.copied.append(target)
            copy(source, target, overwrite=overwrite)

        def forbidden(*_: object, **__: object) -> None:
            raise AssertionError("an object store cannot rename")

        monkeypatch.setattr(tf.io.gfile, "copy", noted)
        monkeypatch.setattr(tf.io.gfile, "rename", forbidden)


@pytest.fixture
def objects(monkeypatch: pytest.MonkeyPatch) -> _ObjectStore:
    return _ObjectStore(monkeypatch)


def test_in_an_object_store_the_marker_comes_last(tmp_path: Path, objects: _ObjectStore) -> None:
    store = f"ram://store-{tmp_path.name}/digits"
    model = _model(tmp_path / "a")
    version = model_store.publish(model, store, keep=1)
    assert model_store.versions(store) == (version,)
    assert objects.copied[-1] == f"{store}/{version}/saved_model.pb"
    assert len(objects.copied) > 1
    assert model_store.publish(model, store, keep=1) == version
    new = model_store.publish(_model(tmp_path / "b", "b"), store, keep=1)
    assert model_store.versions(store) == (new,)


@pytest.mark.parametrize("file", ["saved_model.pb", "variables.index"])
def test_in_an_object_store_half_a_version_does_not_count_and_is_cleared_away(
    tmp_path: Path, objects: _ObjectStore, file: str
) -> None:
    store = f"ram://half-{tmp_path.name}/digits"
    first = model_store.publish(_model(tmp_path / "a"), store, keep=2)
    objects.fails_at = file
    with pytest.raises(OSError, match="cut off"):
        model_store.publish(_model(tmp_path / "b", "b"), store, keep=2)
    assert model_store.versions(store) == (first,)
    objects.fails_at = None
    second = model_store.publish(_model(tmp_path / "c", "c"), store, keep=2)
    children = sorted(name.rstrip("/") for name in tf.io.gfile.listdir(store))
    assert children == [str(first), str(second)]


def test_in_an_object_store_a_folder_that_is_no_version_is_left_alone(
    tmp_path: Path, objects: _ObjectStore
) -> None:
    store = f"ram://other-{tmp_path.name}/digits"
    tf.io.gfile.makedirs(f"{store}/007")
    with tf.io.gfile.GFile(f"{store}/007/saved_model.pb", "w") as file:
        file.write("a person's")
    model_store.publish(_model(tmp_path / "a"), store, keep=1)
    assert tf.io.gfile.exists(f"{store}/007/saved_model.pb")
