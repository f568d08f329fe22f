"""The options of ImageExampleGen: shares of the splits, and checks of the records."""

import math
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from trainer.features import IMAGE, LABEL, MAX_PIXELS, MOST_PIXELS, TEXT
from trainer.section import Section, Texts, shown

# The name of the input split of data that is cut into all splits.
ALL = "all"
Leaks = Literal["none", "exact", "near"]


class Features(Section):
    """The names that the features of the records have."""

    image: str = Field(IMAGE, min_length=1, examples=["image"])
    """Feature with the bytes of an image file."""
    label: str | None = Field(LABEL, min_length=1, examples=["label"])
    """Feature with the class: a whole number, its digits as text, one-hot numbers, or the class
    name; null to read text only."""
    text: str | None = Field(TEXT, min_length=1, examples=["label_name"])
    """Feature with the class name; a record needs this one or the label, and both must agree; null
    to read label only."""
    label_base: Literal[0, 1] = Field(0, json_schema_extra={"allowed": "0 or 1"})
    """Number of the first class, where the label is a number."""

    @model_validator(mode="after")
    def _some_class(self) -> "Features":
        if self.label is None and self.text is None:
            raise ValueError("found null for label and text; allowed: null for one of them")
        return self


class Splits(Section):
    """Shares of the three splits, where the data does not bring all of them."""

    train: float = Field(0.7, gt=0, lt=1)
    """Share of records to learn from."""
    val: float = Field(0.15, gt=0, lt=1)
    """Share that early stopping watches."""
    test: float = Field(0.15, gt=0, lt=1)
    """Share that the model is judged on."""

    @field_validator("train", "val", "test", mode="before")
    @classmethod
    def _no_name(cls, value: object) -> object:
        if isinstance(value, str):
            raise ValueError(
                f"found {shown(value)}; allowed: a share, as data.split_names has the names of"
                " folders or files"
            )
        return value

    @model_validator(mode="after")
    def _sum_to_one(self) -> "Splits":
        total = self.train + self.val + self.test
        if not math.isclose(total, 1, rel_tol=0, abs_tol=1e-6):
            raise ValueError(
                f"found train {self.train:g} + val {self.val:g} + test {self.test:g}"
                f" = {total:g}; allowed: shares that sum to 1"
            )
        return self


class RecordChecks(Section):
    """What an image must be like to come in."""

    min_side: int = Field(8, ge=1, le=4096)
    """Shortest side in pixels that comes in."""
    max_pixels: int = Field(MAX_PIXELS, ge=1, le=MOST_PIXELS)
    """Most pixels in an image; larger ones are quarantined undecoded, and the model refuses
    them."""
    channels: Annotated[
        tuple[Annotated[int, Field(ge=1, le=4)], ...], Field(strict=False, min_length=1)
    ] = (1, 2, 3, 4)
    """Numbers of channels that come in: 1 grey, 2 grey and alpha, 3 colour, 4 colour and alpha, or
    CMYK."""
    min_contrast: float = Field(0.005, ge=0, le=0.5)
    """Lowest standard deviation of brightness, from 0 to 0.5; images below it are near-constant."""
    similarity: float = Field(0.98, gt=0.5, le=1)
    """How alike two images are that count as near duplicates; 1 is the same."""
    remove_leaked: Leaks = "near"
    """Which copies of val or test images are taken out of train; near means exact ones too. Nothing
    is ever taken out of test."""


class Checks(RecordChecks):
    """What an image must be like to come in, and when a span is refused."""

    max_quarantined: float = Field(0.05, ge=0, le=1)
    """Share of records in quarantine above which the span is refused; copies that were taken out of
    train do not count."""
    min_class_images: int = Field(1, ge=0)
    """Fewest images of train that each class must have."""


class Rules(Section):
    """The rules that decide a record's split or quarantine, passed to the executor.

    They are part of the cache key, without the fields of `Checks` that only decide whether a span
    is refused: pydantic writes only the fields of the declared type, `RecordChecks`.

    Attributes:
        labels: class names; the index in this list is the class id.
        group: feature that is hashed to find the split if the data has none; None for a cut by
            class.
        features: names of the features of the records that come in.
        checks: checks of a record's image.
    """

    labels: Texts
    group: str | None = None
    features: Features = Features()
    checks: RecordChecks = RecordChecks()
