"""What the usual names of splits mean; the one place that decides it."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from components.image_example_gen.label_forms import listed

SPLITS = ("train", "val", "test")
_EVAL = "eval"  # what is held out, which depends on what else there is
_USUAL = {
    "train": ("train", "training"),
    "val": ("val", "validation", "valid", "dev"),
    "test": ("test", "testing"),
    _EVAL: ("eval", "evaluation"),
}
_ROLES = {name: role for role, names in _USUAL.items() for name in names}
USUAL_NAMES = tuple(_ROLES)
_ALLOWED = "train, val and test; train and test; or train alone, or no splits, to have them cut"


class UnclearSplitsError(ValueError):
    """Names do not tell the splits; the message has what was found and what is allowed.

    Attributes:
        known: split -> name, as far as these are clear.
    """

    def __init__(self, found: str, known: Mapping[str, str], allowed: str = _ALLOWED) -> None:
        """Takes the two halves of the message, and `known`."""
        super().__init__(f"found {found}; allowed: {allowed}")
        self.known = dict(known)


def role(name: str) -> str | None:
    """Returns what a name usually means, in any case: train, val, test or eval; None if nothing."""
    return _ROLES.get(name.lower())


def settled(names: Collection[str]) -> dict[str, str]:
    """Returns split -> name, in the order of `SPLITS`; train is there, and test unless it is alone.

    `eval` is test, or val where there is a test too.

    Args:
        names: what data calls its splits, such as `valid` or `Testing`.

    Raises:
        UnclearSplitsError: a name is unknown, two names mean one split, or train or test is
            missing.
    """
    found: dict[str, list[str]] = {}
    for name in sorted(names):
        means = role(name)
        if means is None:
            raise UnclearSplitsError(f"split {name}", {})
        found.setdefault(means, []).append(name)
    known = {split: called[0] for split, called in found.items()}
    free = [split for split in ("test", "val") if split not in known]
    if _EVAL in known and free:
        known[free[0]] = known.pop(_EVAL)
    clear = {split: known[split] for split in SPLITS if split in known}
    for called in found.values():
        if len(called) > 1:
            raise UnclearSplitsError(f"{listed(called)} side by side", clear, "one of them")
    if _EVAL in known:
        raise UnclearSplitsError(f"splits {listed(sorted(names))}", clear, "three of them")
    if clear.keys() != {"train"} and not clear.keys() >= {"train", "test"}:
        raise UnclearSplitsError(f"splits {listed(sorted(names))}", clear)
    return clear
