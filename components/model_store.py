"""The model store: a folder of SavedModels, each in a folder named by its version, an integer.

TF Serving watches this folder. A version appears whole or not at all. A file system gets it under a
hidden name, which TF Serving and `versions` ignore, and then renames it. An object store cannot
rename, so `saved_model.pb` is written last and deleted first: TF Serving does not load a folder
without it, but retries (core/aspired_versions_manager.cc), and `versions` ignores such a folder.

Publishers to a file system wait for each other. An object store has no locks, so only one process
may publish to it at a time.
"""

import contextlib
import fcntl
import hashlib
import os
import time
from collections.abc import Callable, Iterator

import tensorflow as tf

LABELS_FILE = "labels.txt"  # the name of the asset that `trainer.export` writes
_PARTIAL = ".partial"
_MARKER = "saved_model.pb"


def versions(store: str) -> tuple[int, ...]:
    """Returns the versions in a store, oldest first; none if the store does not exist yet."""
    if not tf.io.gfile.isdir(store):
        return ()
    names = (name.rstrip("/") for name in tf.io.gfile.listdir(store))
    found = sorted(int(name) for name in names if _is_number(name))
    return tuple(version for version in found if _is_whole(store, version))


def newest(store: str) -> int | None:
    """Returns the newest version, which has the highest number; None if the store is empty."""
    return max(versions(store), default=None)


def path(store: str, version: int) -> str:
    """Returns the folder of a version."""
    return f"{store}/{version}"


def standing(model: str, store: str) -> int | None:
    """Returns the store's newest version if it equals a model folder byte for byte, else None."""
    last = newest(store)
    return last if last is not None and digest(path(store, last)) == digest(model) else None


def publish(
    model: str, store: str, keep: int, needed: Callable[[], int | None] = lambda: None
) -> int:
    """Copies a model into the store as its newest version.

    A model that equals the newest version byte for byte is not stored again.

    Args:
        model: a SavedModel's folder.
        store: the store's folder; created if missing.
        keep: number of versions to keep, including the new one; older ones are deleted.
        needed: returns a version never to delete, such as the served one, or None. It is called
            before each deletion, since this version may change meanwhile.

    Returns:
        The model's version: the Unix time, or the newest version plus one if the clock is behind.
    """
    tf.io.gfile.makedirs(store)
    with _locked(store):
        _remove_partial(store)
        version = standing(model, store)
        if version is None:
            version = max(int(time.time()), (newest(store) or 0) + 1)
            if _can_rename(store):
                partial = f"{store}/.{version}{_PARTIAL}"
                _copy(model, partial)
                tf.io.gfile.rename(partial, path(store, version))
            else:
                _copy(model, path(store, version))
        for old in versions(store)[:-keep]:
            if old != needed():
                _retire(store, old)
        return version


def labels(store: str, version: int) -> tuple[str, ...]:
    """Returns a version's class names, in the order of their ids."""
    with tf.io.gfile.GFile(f"{path(store, version)}/assets/{LABELS_FILE}") as file:
        return tuple(file.read().splitlines())


def write_whole(file: str, text: str) -> None:
    """Writes a small file atomically: a reader sees either the old or the new text."""
    tf.io.gfile.makedirs(file.rpartition("/")[0])
    # An object store shows an object only when it is closed.
    written = f"{file}{_PARTIAL}" if _can_rename(file) else file
    with tf.io.gfile.GFile(written, "w") as opened:
        opened.write(text)
    if written != file:
        tf.io.gfile.rename(written, file, overwrite=True)


def copy_version(store: str, version: int, destination: str) -> None:
    """Copies a version's SavedModel into a folder.

    Raises:
        FileNotFoundError: the store does not hold the version.
    """
    if version not in versions(store):
        raise FileNotFoundError(f"{store} has no version {version}")
    _copy(path(store, version), destination)


def _files(folder: str) -> list[str]:
    """Returns the sorted paths of all files below a folder, relative to the folder."""
    return sorted(
        f"{directory}/{name}"[len(folder) + 1 :]
        for directory, _, names in tf.io.gfile.walk(folder)
        for name in names
    )


@contextlib.contextmanager
def _locked(store: str) -> Iterator[None]:
    """Locks a local store against other publishers; the kernel unlocks it if a publisher dies."""
    if not _can_rename(store):
        yield
        return
    folder, name = os.path.split(os.path.realpath(store))
    with open(os.path.join(folder, f".{name}.lock"), "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _is_number(name: str) -> bool:
    """Returns whether a folder's name is a version: 7 is a version, 007 is not."""
    return name.isdecimal() and name == str(int(name))


def _can_rename(location: str) -> bool:
    return "://" not in location


def _is_whole(store: str, version: int) -> bool:
    return _can_rename(store) or tf.io.gfile.exists(f"{path(store, version)}/{_MARKER}")


def _retire(store: str, version: int) -> None:
    folder = path(store, version)
    if _can_rename(store):
        hidden = f"{store}/.{version}{_PARTIAL}"
        tf.io.gfile.rename(folder, hidden)
        folder = hidden
    else:
        tf.io.gfile.remove(f"{folder}/{_MARKER}")
    tf.io.gfile.rmtree(folder)


def _copy(source: str, destination: str) -> None:
    for name in sorted(_files(source), key=lambda name: name == _MARKER):
        target = f"{destination}/{name}"
        tf.io.gfile.makedirs(target.rpartition("/")[0])
        tf.io.gfile.copy(f"{source}/{name}", target, overwrite=True)


def digest(folder: str) -> str:
    """Returns the SHA-256 digest of a folder's content: names and bytes of all files below it."""
    hasher = hashlib.sha256()
    for name in _files(folder):
        with tf.io.gfile.GFile(f"{folder}/{name}", "rb") as file:
            content = hashlib.sha256(file.read()).hexdigest()
        hasher.update(f"{name}\0{content}\0".encode())
    return hasher.hexdigest()


def _remove_partial(store: str) -> None:
    for name in (child.rstrip("/") for child in tf.io.gfile.listdir(store)):
        hidden = name.startswith(".") and name.endswith(_PARTIAL)
        if hidden or (_is_number(name) and not _is_whole(store, int(name))):
            tf.io.gfile.rmtree(f"{store}/{name}")
