"""The config's `data` section: where images come from, and which checks they must pass."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from components.image_example_gen.label_forms import normal
from components.image_example_gen.options import Checks, Features, Splits
from components.span_drift.options import Drift
from trainer.features import SOURCE
from trainer.section import Location, Section, Texts, shown


def _check_folder_of_spans(value: str) -> str:
    # TFX reads a path with these characters as a glob and would look elsewhere.
    found = [character for character in "*?[]{}" if character in value]
    if found:
        raise ValueError(
            f"found {shown(value)}; allowed: the folder that holds the spans, without"
            f" {' '.join(found)}"
        )
    return value


def check_labels(labels: tuple[str, ...]) -> tuple[str, ...]:
    """Raises ValueError for fewer than two class names, or a blank, unprintable or repeated one.

    Names that are equal by `label_forms.normal` count as repeated.
    """
    # With one class there is nothing to learn.
    if len(labels) < 2:
        found = f"1 name, {shown(labels[0])}" if labels else "no name"
        raise ValueError(f"found {found}; allowed: two or more names")
    first: dict[str, int] = {}
    for number, label in enumerate(labels):
        if not label.strip():
            raise ValueError(f"found a blank name for class {number}; allowed: no blank ones")
        if not label.isprintable():
            raise ValueError(f"found {label!r} for class {number}; allowed: printable characters")
        before = first.setdefault(normal(label), number)
        if before != number:
            raise ValueError(
                f"found {shown(label)} for class {before} and again for class {number};"
                " allowed: each name once"
            )
    return labels


def _check_split_name(value: str) -> str:
    # These characters have a meaning in TFX's patterns, or separate them.
    found = [character for character in "/,?[]{}" if character in value]
    if found or not value.strip():
        raise ValueError(
            f"found {shown(value)}; allowed: the name of a folder in the span, a part of its files'"
            " names, or a pattern of them with *"
        )
    return value


_SplitName = Annotated[str, AfterValidator(_check_split_name)]


class SplitNames(Section):
    """How the data calls its splits."""

    train: _SplitName = Field("train", examples=["training"])
    """Folder or files to learn from."""
    val: _SplitName | None = Field(None, examples=["validation"])
    """Folder or files that early stopping watches; null cuts them from train."""
    test: _SplitName | None = Field(None, examples=["test"])
    """Folder or files that the model is judged on; null, with val null too, cuts them from
    train."""

    @model_validator(mode="after")
    def _fit_together(self) -> "SplitNames":
        if self.val is not None and self.test is None:
            raise ValueError(
                f"found val {shown(self.val)} without test; allowed: train, val and test, train and"
                " test, or train alone"
            )
        names = list(self.by_split().values())
        if len(set(names)) < len(names):
            raise ValueError(f"found {', '.join(names)}; allowed: a name of its own for each split")
        return self

    def by_split(self) -> dict[str, str]:
        """Returns split -> name, for each split that the data brings."""
        named = {"train": self.train, "val": self.val, "test": self.test}
        return {split: name for split, name in named.items() if name is not None}


class Data(Section):
    """Where the images come from."""

    root: Annotated[Location, AfterValidator(_check_folder_of_spans)]
    """Folder that holds the data: span-0, span-1, … with train, val and test in each, or one span
    without its folder."""
    labels: Annotated[Texts, AfterValidator(check_labels)] | Location | None = Field(
        None,
        examples=[["cat", "dog"]],
        json_schema_extra={"allowed": "a list of names, or the path of a file with one a line"},
    )
    """Class names in the order of their ids: a list, or the path of a file with one name a line. If
    left out, labels.txt in data.root."""
    span: Literal["latest"] | Annotated[int, Field(ge=0)] = "latest"
    """Number of the newest span to learn from; latest takes the highest there is."""
    window: int = Field(1, ge=1, le=1000)
    """How many spans to learn from, counted back from span: 3 with span 7 is 5, 6 and 7. Numbers
    that are not there are passed over."""
    features: Features = Features()
    """The names that the features of the records have."""
    split_names: SplitNames | None = Field(
        None, examples=[{"train": "train", "val": "validation", "test": "test"}]
    )
    """How the data calls its splits; if left out, the usual names are looked for."""
    splits: Splits = Splits()
    """How to cut data that lacks splits; shares sum to 1. Where test is given, val is cut from
    train."""
    group: str | None = Field(None, min_length=1, examples=[SOURCE])
    """Feature whose records stay together in such a cut, as of one patient or camera. If left out,
    each class is cut by itself, so that each split has its share of it."""
    checks: Checks = Checks()
    """What an image must be like, and when a span is refused."""
    drift: Drift = Drift()
    """When a span differs from the one before, and what then."""
