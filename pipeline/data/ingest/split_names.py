"""What a source calls its splits."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from components.image_example_gen.label_forms import listed
from pipeline.config import ConfigError
from pipeline.data.layouts import ROLES

_ALLOWED = "train and test, perhaps with val; or train alone, or no splits, to have them cut"


def role(name: str) -> str | None:
    """Returns what a name usually means, in any case: train, val, test or eval; None if nothing."""
    return ROLES.get(name.lower())


def splits(where: str, names: Collection[str]) -> dict[str, str | None]:
    """Maps the names of a source's splits to train, val and test.

    `eval` is test, or val where there is a test too. Train alone becomes None, to be cut.

    Args:
        where: what messages call the source.
        names: the names, such as `valid` or `Testing`.

    Raises:
        ConfigError: a name is unknown, two names mean one split, or train or test is missing.
    """
    found: dict[str, str] = {}
    for name in sorted(names):
        means = role(name)
        if means is None or means in found:
            others = f"{found[means]} and {name} side by side" if means in found else name
            raise ConfigError(f"{where}: found split {others}; allowed: {_ALLOWED}")
        found[means] = name
    free = [split for split in ("test", "val") if split not in found]
    if "eval" in found and free:
        found[free[0]] = found.pop("eval")
    if set(found) == {"train"}:
        return {found["train"]: None}
    if "eval" in found or not {"train", "test"} <= set(found):
        way = ""
        if set(found) == {"train", "val"}:
            way = f"; {found['val']} becomes test if you name it so, and val is then cut from train"
        raise ConfigError(
            f"{where}: found splits {listed(sorted(names))}; allowed: {_ALLOWED}{way}"
        )
    return {name: split for split, name in found.items()}


def renamed(found: Mapping[str, str | None]) -> list[str]:
    """Returns a line that tells which splits have other names, if any."""
    others = [f"{name} is {split}" for name, split in found.items() if split and name != split]
    return [f"splits: {', '.join(others)}"] if others else []
