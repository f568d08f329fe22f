"""The model store: a folder of integer-named SavedModels, as TF Serving watches it.

A version appears whole or not at all: it is copied under a hidden name, which TF Serving and
`versions` pass over, and takes its own by renaming.
"""

from __future__ import annotations

import hashlib
import time

import tensorflow as tf

LABELS_FILE = "labels.txt"  # the name of the asset that `trainer.export` writes
_PARTIAL = ".partial"


def versions(store: str) -> tuple[int, ...]:
    """Lists the versions in a store, oldest first; none where there is no store yet."""
    if not tf.io.gfile.isdir(store):
        return ()
    names = (name.rstrip("/") for name in tf.io.gfile.listdir(store))
    # Only names that are the number's own: TF Serving would look for 7 in a folder named 007.
    return tuple(sorted(int(name) for name in names if name.isdecimal() and name == str(int(name))))


def newest(store: str) -> int | None:
    """Returns the version that TF Serving serves: the highest number, or None."""
    return max(versions(store), default=None)


def path(store: str, version: int) -> str:
    """Returns the folder of a version."""
    return f"{store}/{version}"


def standing(model: str, store: str) -> int | None:
    """Returns the newest version if the model is equal to it, byte for byte, else None."""
    last = newest(store)
    return last if last is not None and _digest(path(store, last)) == _digest(model) else None


def publish(model: str, store: str, keep: int) -> int:
    """Puts a model into the store as its newest version.

    A model that is equal, byte for byte, to the newest version is not stored a second time.

    Args:
        model: a SavedModel's folder.
        store: the store's folder; it is made if need be.
        keep: how many versions stay, the new one included; older ones are deleted.

    Returns:
        The version under which the model now stands: the Unix time, or one more than the newest
        where the clock is behind it.
    """
    tf.io.gfile.makedirs(store)
    _remove_partial(store)
    version = standing(model, store)
    if version is None:
        version = max(int(time.time()), (newest(store) or 0) + 1)
        partial = f"{store}/.{version}{_PARTIAL}"
        _copy(model, partial)
        tf.io.gfile.rename(partial, path(store, version))
    for old in versions(store)[:-keep]:
        retired = f"{store}/.{old}{_PARTIAL}"
        tf.io.gfile.rename(path(store, old), retired)
        tf.io.gfile.rmtree(retired)
    return version


def labels(store: str, version: int) -> tuple[str, ...]:
    """Reads a version's class names, in the order of their ids."""
    with tf.io.gfile.GFile(f"{path(store, version)}/assets/{LABELS_FILE}") as file:
        return tuple(file.read().splitlines())


def copy_version(store: str, version: int, destination: str) -> None:
    """Copies a version's SavedModel into a folder.

    Raises:
        FileNotFoundError: the store has no such version (any more).
    """
    if version not in versions(store):
        raise FileNotFoundError(f"{store} has no version {version}")
    _copy(path(store, version), destination)


def _files(folder: str) -> list[str]:
    """Lists a folder's files, at any depth, relative to it and sorted."""
    return sorted(
        f"{directory}/{name}"[len(folder) + 1 :]
        for directory, _, names in tf.io.gfile.walk(folder)
        for name in names
    )


def _copy(source: str, destination: str) -> None:
    for name in _files(source):
        target = f"{destination}/{name}"
        tf.io.gfile.makedirs(target.rpartition("/")[0])
        tf.io.gfile.copy(f"{source}/{name}", target, overwrite=True)


def _digest(folder: str) -> str:
    hasher = hashlib.sha256()
    for name in _files(folder):
        with tf.io.gfile.GFile(f"{folder}/{name}", "rb") as file:
            content = hashlib.sha256(file.read()).hexdigest()
        hasher.update(f"{name}\0{content}\0".encode())
    return hasher.hexdigest()


def _remove_partial(store: str) -> None:
    for name in tf.io.gfile.listdir(store):
        if name.startswith(".") and name.rstrip("/").endswith(_PARTIAL):
            tf.io.gfile.rmtree(f"{store}/{name.rstrip('/')}")
