"""The section about the data: where images come from, and what they must be like."""

import math
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from trainer.features import SOURCE
from trainer.section import Location, Section, Texts, shown


def _check_folder_of_spans(value: str) -> str:
    # TFX takes these characters for a pattern and would look elsewhere.
    found = [character for character in "*?[]{}" if character in value]
    if found:
        raise ValueError(
            f"found {shown(value)}; allowed: the folder that holds the spans, without"
            f" {' '.join(found)}"
        )
    return value


def check_labels(labels: tuple[str, ...]) -> tuple[str, ...]:
    """Refuses fewer than two class names, a blank one and one that stands twice."""
    # With one class there is nothing to learn, and no confusion for the Evaluator to count.
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


class Splits(Section):
    """Shares of the three splits, cut by a hash of each record."""

    train: float = Field(0.7, gt=0, lt=1, description="Share of records to learn from.")
    val: float = Field(0.15, gt=0, lt=1, description="Share that early stopping watches.")
    test: float = Field(0.15, gt=0, lt=1, description="Share that the model is judged on.")

    @model_validator(mode="after")
    def _sum_to_one(self) -> "Splits":
        total = self.train + self.val + self.test
        if not math.isclose(total, 1, rel_tol=0, abs_tol=1e-6):
            raise ValueError(
                f"found train {self.train:g} + val {self.val:g} + test {self.test:g}"
                f" = {total:g}; allowed: shares that sum to 1"
            )
        return self


class Checks(Section):
    """What an image must be like to come in, and when a span is refused."""

    min_side: int = Field(8, ge=1, le=4096, description="Shortest side in pixels that comes in.")
    max_pixels: int = Field(
        100_000_000,
        ge=1,
        le=178_000_000,
        description="Most pixels in an image; larger ones are quarantined undecoded.",
    )
    channels: Annotated[
        tuple[Annotated[int, Field(ge=1, le=4)], ...], Field(strict=False, min_length=1)
    ] = Field(
        (1, 2, 3, 4),
        description="Numbers of channels that come in: 1 grey, 2 grey and alpha, 3 colour, 4"
        " colour and alpha, or CMYK.",
    )
    min_contrast: float = Field(
        0.005,
        ge=0,
        le=0.5,
        description="Lowest standard deviation of brightness, from 0 to 0.5; images below it are"
        " near-constant.",
    )
    similarity: float = Field(
        0.98,
        gt=0.5,
        le=1,
        description="How alike two images are that count as near duplicates; 1 is the same.",
    )
    remove_leaked: Literal["none", "exact", "near"] = Field(
        "near",
        description="Which copies of val or test images are taken out of train; near means exact"
        " ones too. Nothing is ever taken out of test.",
    )
    max_quarantined: float = Field(
        0.05,
        ge=0,
        le=1,
        description="Share of records in quarantine above which the span is refused; copies that"
        " were taken out of train do not count.",
    )
    min_class_images: int = Field(
        1, ge=0, description="Fewest images of train that each class must have."
    )


class Drift(Section):
    """When a span differs from the one accepted before, and what then."""

    action: Literal["warn", "stop"] = Field(
        "warn", description="What drift does: warn says so in the summary, stop refuses the span."
    )
    max_divergence: float = Field(
        0.1,
        gt=0,
        le=1,
        description="Jensen-Shannon divergence, from 0 to 1, of an image feature such as"
        " image/brightness above which it drifted.",
    )
    max_label_distance: float = Field(
        0.1,
        gt=0,
        le=1,
        description="Change of one class's share of train, from 0 to 1, above which the labels"
        " drifted.",
    )


class Data(Section):
    """Where the images come from."""

    root: Annotated[Location, AfterValidator(_check_folder_of_spans)] = Field(
        description="Folder that holds the data: span-0, span-1, … with train, val and test in"
        " each, or one span without its folder."
    )
    labels: Annotated[Texts, AfterValidator(check_labels)] | Location | None = Field(
        None,
        description="Class names in the order of their ids: a list, or the path of a file with"
        " one name a line. If left out, labels.txt in data.root.",
        examples=[["cat", "dog"]],
        json_schema_extra={"allowed": "a list of names, or the path of a file with one a line"},
    )
    span: Literal["latest"] | Annotated[int, Field(ge=0)] = Field(
        "latest",
        description="Number of the newest span to learn from; latest takes the highest there is.",
    )
    window: int = Field(
        1,
        ge=1,
        le=1000,
        description="How many spans to learn from, counted back from span: 3 with span 7 is 5, 6"
        " and 7. Numbers that are not there are passed over.",
    )
    splits: Splits = Field(
        Splits(),
        description="How to cut data that has no train, val and test folders; shares sum to 1.",
    )
    group: str | None = Field(
        None,
        min_length=1,
        description="Feature whose records stay together in such a cut, as of one patient or"
        " camera. If left out, each image is cut by itself.",
        examples=[SOURCE],
    )
    checks: Checks = Field(
        Checks(), description="What an image must be like, and when a span is refused."
    )
    drift: Drift = Field(
        Drift(), description="When a span differs from the one before, and what then."
    )
