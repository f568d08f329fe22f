"""How the splits of a span lie: in folders, or told by the names of its files."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from components.image_example_gen.label_forms import listed
from components.image_example_gen.options import ALL
from pipeline.config import ConfigError, did_you_mean, is_remote
from pipeline.config.data import SplitNames
from pipeline.data import split_roles
from pipeline.data.split_roles import SPLITS, USUAL_NAMES

FILES = "*.tfrecord*"

# How files tell their split by their names; the first is that of TensorFlow Datasets, which may
# have splits of other names beside.
_TFDS_FORM = "*-{}.tfrecord-*-of-*"
_FORMS = (
    _TFDS_FORM,
    "{}.tfrecord*",
    "{}-*.tfrecord*",
    "{}_*.tfrecord*",
    "*-{}.tfrecord*",
    "*_{}.tfrecord*",
    "*-{}-*.tfrecord*",
    "*_{}_*.tfrecord*",
    "*_{}-*.tfrecord*",
    # TF-Slim's, without an ending.
    "{}-*-of-*",
    "*-{}-*-of-*",
    "*_{}-*-of-*",
)
_SHARDS = "*-of-*"
_SHARDS_OF = "*{}*-of-*"
TFDS_INFO = "dataset_info.json"
_TFDS_VERSION = re.compile(r"\d+\.\d+\.\d+")


def patterns(path: str, names: SplitNames | None) -> dict[str, str]:
    """Finds the splits of a span.

    Args:
        path: the span's folder.
        names: what the data calls its splits; None to look for the usual names.

    Returns:
        Split -> glob of its files below `path`; `ALL` stands for data to be cut into all splits,
        and `train` without `val` for data to be cut into these two.

    Raises:
        ConfigError: the folder is not laid out as a span, a split has no files, or what the names
            mean is not clear.
    """
    folders, files = listing(path)
    if names is not None:
        return _named(path, names, folders, files)
    usual = [name for name in USUAL_NAMES if name in folders]
    if files and usual:
        raise ConfigError(
            f"{path}: found {files[0]} beside {usual[0]}; allowed: files in train, val and test,"
            " or files only"
        )
    if usual:
        roles = _roles(path, usual)
        for name in roles.values():
            if not listing(f"{path}/{name}")[1]:
                raise ConfigError(f"{path}/{name}: found no file; allowed: {FILES}")
        return _globs({split: f"{name}/{FILES}" for split, name in roles.items()})
    if not files:
        raise ConfigError(
            f"{path}: found {listed(folders) if folders else 'no data'}; allowed: train, val and"
            f" test, or {FILES} files to be cut into these{_inner_set(path, folders)}"
        )
    told = told_by(files)
    if told:
        roles = _roles(path, list(told))
        return _globs({split: told[name] for split, name in roles.items()})
    return {ALL: FILES}


def told_by(files: Sequence[str]) -> dict[str, str]:
    """Returns usual name -> glob, where files tell their splits by their names; else nothing."""
    for form in _FORMS:
        told = _told(form, USUAL_NAMES, files)
        whole = form == _TFDS_FORM or sum(map(len, told.values())) == len(files)
        if len(told) > 1 and whole:
            return {name: form.format(name) for name in told}
    return {}


def unlisted(names: SplitNames | None, *, split_folders: bool) -> dict[str, str]:
    """Returns the globs of a span that this machine cannot list, as `patterns` would.

    `split_folders` is whether the splits lie in folders of the contract's names, if `names` does
    not tell.
    """
    if names is not None:
        return _globs({split: _glob(name) for split, name in names.by_split().items()})
    return {split: _glob(split) for split in SPLITS} if split_folders else {ALL: FILES}


def listing(folder: str, glob: str = FILES) -> tuple[list[str], list[str]]:
    """Returns the sorted names of the folders in a folder, and of its files that match a glob.

    Files with a leading dot or underscore are included, as ExampleGen's glob matches them.

    Raises:
        ConfigError: the folder does not exist or cannot be listed.
    """
    try:
        entries = _remote_entries(folder) if is_remote(folder) else _local_entries(folder)
    except FileNotFoundError:
        raise ConfigError(
            f"data.root: {folder} does not exist; bring images in by retrain ingest SOURCE"
            f" --output {folder}, or set data.root to the folder that holds them"
        ) from None
    except NotADirectoryError:
        raise ConfigError(f"data.root: {folder} is a file; allowed: a folder") from None
    except OSError as error:
        raise ConfigError(f"data.root: {folder} cannot be listed: {error}") from error
    names = sorted(entries)
    folders = [name for name in names if entries[name]]
    return folders, [name for name in names if not entries[name] and fnmatchcase(name, glob)]


def hint(folder: str) -> str:
    """Returns what a folder without `FILES` may be meant for; "" if nothing is found.

    That is the folder above a set of TensorFlow Datasets, or TF-Slim's files without an ending.
    """
    folders, shards = listing(folder, _SHARDS)
    told = list(_told(_SHARDS_OF, USUAL_NAMES, shards))
    names = {
        split: f"'{_SHARDS_OF.format(name)}'"
        for name in reversed(told)  # the first of a split counts
        if (split := split_roles.role(name)) in SPLITS
    }
    if "train" not in names:
        return _inner_set(folder, folders)
    if "test" not in names and "val" in names:
        names["test"] = names.pop("val")
    proposed = ", ".join(f"{split}: {name}" for split, name in names.items())
    return f"; did you mean data.split_names: {{{proposed}}}?"


def _inner_set(path: str, folders: Sequence[str]) -> str:
    for name in reversed(folders):
        below = f"{path}/{name}"
        if (
            _TFDS_VERSION.fullmatch(name)
            and not is_remote(path)
            and (Path(below) / TFDS_INFO).exists()
        ):
            return f"; did you mean {below}?"
    return ""


def _globs(found: Mapping[str, str]) -> dict[str, str]:
    # What has train only has no splits.
    return {ALL: found["train"]} if set(found) == {"train"} else dict(found)


def _glob(name: str) -> str:
    return name if "*" in name else f"{name}/{FILES}"


def _told(form: str, names: Sequence[str], files: Sequence[str]) -> dict[str, list[str]]:
    """Returns those of the names that files have in a form, with the files."""
    told = {n: [file for file in files if fnmatchcase(file, form.format(n))] for n in names}
    return {name: matched for name, matched in told.items() if matched}


def _roles(path: str, usual: Sequence[str]) -> dict[str, str]:
    """Returns split -> name in the data, for usual names."""
    try:
        return split_roles.settled(usual)
    except split_roles.UnclearSplitsError as error:
        raise ConfigError(f"{path}: {error}{_proposal(error.known)}") from None


def _proposal(known: Mapping[str, str]) -> str:
    if known.keys() == {"train", "val"}:
        known, cut = {"train": known["train"], "test": known["val"]}, ", with val cut from train"
    else:
        cut = ""
    if not known.keys() >= {"train", "test"}:
        return ""
    names = ", ".join(f"{split}: {name}" for split, name in known.items())
    return f"; did you mean data.split_names: {{{names}}}{cut}?"


def _named(
    path: str, names: SplitNames, folders: Sequence[str], files: Sequence[str]
) -> dict[str, str]:
    """Returns the globs of splits that the config names."""
    wanted = names.by_split()
    plain = [name for name in wanted.values() if "*" not in name and name not in folders]
    # With one form for all names, no file can count for two splits by its other words.
    form = next((form for form in _FORMS if len(_told(form, plain, files)) == len(plain)), None)
    found = {}
    for split, name in wanted.items():
        glob = form.format(name) if form and name in plain else _glob(name)
        folder, _, own = f"{path}/{glob}".rpartition("/")
        if (folder != path and name not in folders) or not listing(folder, own)[1]:
            here = [name for name in folders if not name.startswith(("_", "."))] or files
            raise ConfigError(
                f"data.split_names.{split}: found {name}, but {path} has no folder and no file of"
                f" that name; allowed: {listed(here) or 'none, as it is empty'}"
                f"{did_you_mean(name, here)}"
            )
        found[split] = glob
    return _globs(found)


def _local_entries(folder: str) -> dict[str, bool]:
    return {entry.name: entry.is_dir() for entry in Path(folder).iterdir()}


def _remote_entries(folder: str) -> dict[str, bool]:
    # Heavy, but nothing else in the stack can list the folder.
    import tensorflow as tf

    try:
        if not tf.io.gfile.isdir(folder):
            raise FileNotFoundError(folder)
        names = [name.rstrip("/") for name in tf.io.gfile.listdir(folder)]
        return {name: tf.io.gfile.isdir(f"{folder}/{name}") for name in names}
    except tf.errors.OpError as error:
        raise OSError(error.message) from error
