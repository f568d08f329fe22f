"""The content of a report's page as plain data: `gathering` makes it, `rendering` draws it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import TypeAdapter

from components.evaluator.scorecard import ClassScore
from components.image_example_gen.intake import Intake
from components.report.options import Card
from components.serving_validator.check import ServingCheck
from components.span_drift.report import DriftReport


@dataclass(frozen=True)
class Interval:
    """A 95 % confidence interval."""

    low: float
    high: float


@dataclass(frozen=True)
class Verdict:
    """How the run ended.

    Attributes:
        kind: "pushed", "refused", "failed" or "unfinished".
        sentence: the same in words.
        reasons: why nothing was pushed, a sentence each.
    """

    kind: str
    sentence: str
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Metric:
    """A metric of the candidate on the test split, beside production's.

    Attributes:
        name: TFMA's name.
        value: TFMA's number.
        interval: of the value; None where there are no single predictions.
        production: the value of the model in production; None where there is none.
        difference: interval of value minus production's, over the same resampled images.
    """

    name: str
    value: float
    interval: Interval | None = None
    production: float | None = None
    difference: Interval | None = None


@dataclass(frozen=True)
class SliceScore:
    """A slice of the test split, such as `image/source=camera-1`; `interval` is the accuracy's."""

    name: str
    images: int
    accuracy: float
    macro_f1: float
    interval: Interval


@dataclass(frozen=True)
class Confusion:
    """Images of one class that are predicted as another; `share` is of the true class's images."""

    truth: str
    prediction: str
    images: int
    share: float


@dataclass(frozen=True)
class Bin:
    """Images whose predictions have about the same score; `accuracy` is the share that is right."""

    images: int
    score: float
    accuracy: float
    interval: Interval


@dataclass(frozen=True)
class Picture:
    """A small picture.

    Attributes:
        uri: `data:` URI; "" where the bytes could not be read as an image.
        width: pixels.
        height: pixels.
    """

    uri: str
    width: int
    height: int


@dataclass(frozen=True)
class Neighbour:
    """An image of train near another one; `similarity` is the cosine of the embeddings."""

    picture: Picture
    label: str
    similarity: float


@dataclass(frozen=True)
class Mistake:
    """A misclassified test image with a high score."""

    picture: Picture
    truth: str
    prediction: str
    score: float
    truth_score: float
    neighbours: tuple[Neighbour, ...] = ()


@dataclass(frozen=True)
class Held:
    """A quarantined image."""

    picture: Picture
    reason: str
    detail: str
    origin: str


@dataclass(frozen=True)
class FeatureSummary:
    """How a measure of the images is spread in train: 10th, 50th and 90th percentile, and mean."""

    name: str
    mean: float
    low: float
    median: float
    high: float


@dataclass(frozen=True)
class Curve:
    """A training's metric by epoch; `values` are by series: "train" and "val"."""

    task: str
    metric: str
    values: Mapping[str, tuple[float, ...]]


@dataclass(frozen=True)
class Step:
    """A component of the run; `size` is in bytes, None if the component wrote nothing."""

    id: str
    state: str
    seconds: float
    size: int | None = None
    error: str = ""


@dataclass(frozen=True)
class Made:
    """From what the run was made.

    Attributes:
        config: the whole config.
        commit: git commit of the code, with "+ changes" if files differed from it; "" if unknown.
        fingerprint: TFX's fingerprint of the span's files.
        packages: versions of the packages that affect the result.
    """

    config: Mapping[str, object]
    commit: str = ""
    fingerprint: str = ""
    packages: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Page:
    """The content of the page. A part that a run did not reach is empty or None.

    Attributes:
        name: the pipeline's.
        run: id of the run.
        verdict: how it ended.
        labels: class names in the order of their ids.
        test_images: number of images in the test split.
        production: the version with which the candidate was compared.
        metrics: metrics over the test split.
        classes: by class, worst first.
        slices: by other features, worst first.
        matrix: images by true class (row) and prediction; empty if there are too many classes.
        heat_map: the same as a picture, if there are many classes.
        confusions: the most frequent mix-ups.
        bins: by score, for the reliability diagram.
        wrong: how many test images are misclassified.
        mistakes: the misclassified images with the highest scores.
        compared: number of images of train among which neighbours were searched.
        data: what came in.
        held: some of the quarantined images.
        drift: how the span compares with the one before.
        features: measures of the images in train.
        augmented: sheet of images as the network saw them in training.
        curves: metrics of the training by epoch.
        temperature: the divisor of the logits; see `trainer.calibration`.
        serving: what the server needed; None where that was not measured.
        steps: the components of the run; only ML Metadata knows them.
        card: what people say of the model.
        made: config, code and packages.
    """

    name: str
    run: str
    verdict: Verdict
    labels: tuple[str, ...] = ()
    test_images: int = 0
    production: int | None = None
    metrics: tuple[Metric, ...] = ()
    classes: tuple[ClassScore, ...] = ()
    slices: tuple[SliceScore, ...] = ()
    matrix: tuple[tuple[int, ...], ...] = ()
    heat_map: Picture | None = None
    confusions: tuple[Confusion, ...] = ()
    bins: tuple[Bin, ...] = ()
    wrong: int = 0
    mistakes: tuple[Mistake, ...] = ()
    compared: int = 0
    data: Intake | None = None
    held: tuple[Held, ...] = ()
    drift: DriftReport | None = None
    features: tuple[FeatureSummary, ...] = ()
    augmented: Picture | None = None
    curves: tuple[Curve, ...] = ()
    temperature: float | None = None
    serving: ServingCheck | None = None
    steps: tuple[Step, ...] = ()
    card: Card = field(default_factory=Card)
    made: Made | None = None

    def to_json(self) -> str:
        """Writes it as JSON."""
        return _PAGE.dump_json(self, indent=1).decode()

    @classmethod
    def from_json(cls, text: str) -> Page:
        """Reads what `to_json` wrote."""
        return _PAGE.validate_json(text)


_PAGE = TypeAdapter(Page)
