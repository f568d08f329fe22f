"""What a source calls its splits."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from pipeline.config import ConfigError
from pipeline.data import split_roles
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


def renamed(found: Mapping[str, str | None]) -> list[str]:
    """Returns a line that tells which splits have other names, if any."""
    others = [f"{name} is {split}" for name, split in found.items() if split and name != split]
    return [f"splits: {', '.join(others)}"] if others else []
