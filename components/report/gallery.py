"""The images on a report's page as plain data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Picture:
    """A small picture.

    Attributes:
        uri: `data:` URI; "" if the bytes could not be decoded as an image.
        width: pixels.
        height: pixels.
    """

    uri: str
    width: int
    height: int


@dataclass(frozen=True)
class Neighbour:
    """A train image near a mistake; `similarity` is the cosine of their embeddings."""

    picture: Picture
    label: str
    similarity: float
    name: str = ""


@dataclass(frozen=True)
class Mistake:
    """A misclassified test image.

    Attributes:
        picture: the image.
        truth: its class.
        prediction: the class that the model predicts.
        score: probability of the predicted class.
        truth_score: probability of the true class.
        neighbours: the train images nearest to it.
        name: its file name, or its place in the span.
        seen: what the model looked at; None if that was not computed.
        familiarity: how near it lies to train, in [0, 1]; None if the model does not tell it.
    """

    picture: Picture
    truth: str
    prediction: str
    score: float
    truth_score: float
    neighbours: tuple[Neighbour, ...] = ()
    name: str = ""
    seen: Picture | None = None
    familiarity: float | None = None


@dataclass(frozen=True)
class Suspect:
    """An image whose label may be wrong.

    Attributes:
        picture: the image.
        name: its file name, or its place in the span.
        split: "train", "val" or "test".
        given: its label.
        suggested: the class that the other images suggest.
    """

    picture: Picture
    name: str
    split: str
    given: str
    suggested: str


@dataclass(frozen=True)
class Shown:
    """An image of train with its file name; `value` is the measure that it illustrates, if any."""

    picture: Picture
    name: str
    value: float | None = None


@dataclass(frozen=True)
class ClassPictures:
    """Some images of a class."""

    label: str
    images: tuple[Shown, ...]


@dataclass(frozen=True)
class Drifted:
    """The images of a span that lie most beyond the earlier distribution of a measure."""

    feature: str
    images: tuple[Shown, ...]


@dataclass(frozen=True)
class Held:
    """A quarantined image; `origin` is its file name or its place, `detail` the finding."""

    picture: Picture
    reason: str
    detail: str
    origin: str
