"""What stands on a report's page, as plain data; it is made in one place and drawn in another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import TypeAdapter

from components.evaluator.scorecard import ClassScore
from components.image_example_gen.intake import Intake
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
        sentence: the whole of it.
        reasons: what stood against a push, a sentence each.
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
        interval: of the value; None where single answers are not known.
        production: the value of the model in production; None where there is none.
        difference: interval of value minus production's, over the same resampled images.
        lower_is_better: whether a smaller value is a better one.
    """

    name: str
    value: float
    interval: Interval | None = None
    production: float | None = None
    difference: Interval | None = None
    lower_is_better: bool = False


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
    """Images of one class taken for another; `share` is of the true class's images."""

    truth: str
    guess: str
    images: int
    share: float


@dataclass(frozen=True)
class Bin:
    """Images whose guess got about the same score; `accuracy` is the share that is right."""

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
    """A test image that the model is sure of and wrong about."""

    picture: Picture
    truth: str
    guess: str
    score: float
    truth_score: float
    neighbours: tuple[Neighbour, ...] = ()


@dataclass(frozen=True)
class Held:
    """A record in quarantine."""

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
class Serving:
    """What the server needed for single images: milliseconds and MiB."""

    p50_ms: float
    p99_ms: float
    memory_mb: float


@dataclass(frozen=True)
class Step:
    """A component of the run; `size` is what it wrote in bytes, None where it wrote nothing."""

    id: str
    state: str
    seconds: float
    size: int | None = None
    error: str = ""


@dataclass(frozen=True)
class Card:
    """What people say of the model; see the config's section `card`. Texts may be empty."""

    intended_use: str = ""
    out_of_scope: str = ""
    limitations: str = ""
    owner: str = ""
    licence: str = ""


@dataclass(frozen=True)
class Made:
    """What the run was made of.

    Attributes:
        config: the whole config.
        commit: git commit of the code, with "+ changes" if files differed from it; "" if unknown.
        fingerprint: what TFX knows the span's files by.
        packages: versions of the packages that decide what comes out.
    """

    config: Mapping[str, object]
    commit: str = ""
    fingerprint: str = ""
    packages: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Page:
    """All that stands on the page. What a run did not reach is empty or None.

    Attributes:
        name: the pipeline's.
        run: id of the run.
        verdict: how it ended.
        labels: class names in the order of their ids.
        test_images: how many images the metrics are of.
        production: version that the candidate was compared with.
        metrics: metrics over the test split.
        classes: by class, worst first.
        slices: by other features, worst first.
        matrix: images by true class (row) and guess; empty where there are too many classes.
        heat_map: the same as a picture, for many classes.
        confusions: the most frequent mix-ups.
        bins: by score, for the reliability diagram.
        wrong: how many test images are misclassified.
        mistakes: those the model is surest of.
        compared: images of train among which neighbours were looked for.
        data: what came in.
        held: some of the records in quarantine.
        drift: how the span compares with the one before.
        features: measures of the images in train.
        augmented: sheet of images as the network saw them in training.
        curves: how the training went.
        temperature: by which logits are divided; see `trainer.calibration`.
        serving: what the server needed.
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
    serving: Serving | None = None
    steps: tuple[Step, ...] = ()
    card: Card = Card()
    made: Made | None = None

    def to_json(self) -> str:
        """Writes it as JSON."""
        return _PAGE.dump_json(self, indent=1).decode()

    @classmethod
    def from_json(cls, text: str) -> Page:
        """Reads what `to_json` wrote."""
        return _PAGE.validate_json(text)


_PAGE = TypeAdapter(Page)
