"""The config's `data` section: where images come from, and which checks they must pass."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from components.image_example_gen.options import Checks, Splits
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
    """Raises ValueError for fewer than two class names, or a blank, unprintable or repeated one."""
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
        if first.setdefault(label, number) != number:
            raise ValueError(
                f"found {shown(label)} for class {first[label]} and again for class {number};"
                " allowed: each name once"
            )
    return labels


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
    splits: Splits = Splits()
    """How to cut data that has no train, val and test folders; shares sum to 1."""
    group: str | None = Field(None, min_length=1, examples=[SOURCE])
    """Feature whose records stay together in such a cut, as of one patient or camera. If left out,
    each image is cut by itself."""
    checks: Checks = Checks()
    """What an image must be like, and when a span is refused."""
    drift: Drift = Drift()
    """When a span differs from the one before, and what then."""
