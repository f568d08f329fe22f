"""What a source calls its splits."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from components.image_example_gen.label_forms import listed
from pipeline.config import ConfigError
from pipeline.data import layouts, split_roles
from pipeline.data.split_roles import role


def splits(where: str, names: Collection[str]) -> dict[str, str | None]:
    """Maps the names of a source's splits to train, val and test.

    Train alone becomes None, to be cut.

    Args:
        where: what messages call the source.
        names: see `split_roles.settled`.

    Raises:
        ConfigError: the names are not clear.
    """
    try:
        found = split_roles.settled(names)
    except split_roles.UnclearSplitsError as error:
        way = ""
        if error.known.keys() == {"train", "val"}:
            way = (
                f"; {error.known['val']} becomes test if you name it so, and val is then cut from"
                " train"
            )
        raise ConfigError(f"{where}: {error}{way}") from None
    if found.keys() == {"train"}:
        return {found["train"]: None}
    return {name: split for split, name in found.items()}


def of_catalogue(where: str, names: Collection[str]) -> dict[str, str | None]:
    """Maps the labelled splits of a set of TensorFlow Datasets; further ones are left out.

    Raises:
        ConfigError: see `splits`.
    """
    known = {role(name): name for name in names}
    if {"train", "val"} <= known.keys() and not {"test", "eval"} & known.keys():
        # If a set has no labelled test split, papers compare models on its validation split.
        return {known["train"]: "train", known["val"]: "test"}
    return splits(where, [name for name in names if role(name)])


def of_files(files: Sequence[Path], where: str) -> tuple[dict[Path, str | None], list[str]]:
    """Returns the split of each file that is used, and lines to tell.

    A split is told by the names of the files or of their folders; None if by neither.

    Raises:
        ConfigError: see `splits`.
    """
    folders = {file.parent for file in files}
    if len(folders) > 1 and all(role(folder.name) for folder in folders):
        called = {file: file.parent.name for file in files}
    else:
        globs = layouts.told_by([file.name for file in files])
        called = {
            file: name
            for file in files
            for name, glob in globs.items()
            if fnmatchcase(file.name, glob)
        }
    if not called:
        return dict.fromkeys(files, None), []
    in_catalogue = all((at / layouts.TFDS_INFO).exists() for at in folders)
    meaning = of_catalogue if in_catalogue else splits
    found = meaning(where, set(called.values()))
    told = renamed(found)
    others = [file.name for file in files if file not in called]
    if others:
        told.append(f"{where}: files of other splits are passed over: {listed(others)}")
    return {file: found[name] for file, name in called.items()}, told


def renamed(found: Mapping[str, str | None]) -> list[str]:
    """Returns a line that tells which splits have other names, if any."""
    others = [f"{name} is {split}" for name, split in found.items() if split and name != split]
    return [f"splits: {', '.join(others)}"] if others else []
