"""The content of a report's page as plain data: `gathering` fills it, `rendering` draws it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from pydantic import ConfigDict, TypeAdapter

from components.evaluator.evidence import Evidence, Interval
from components.evaluator.scorecard import ClassScore
from components.image_example_gen.intake import Intake
from components.report.gallery import ClassPictures, Drifted, Held, Mistake, Picture, Suspect
from components.report.options import Card
from components.serving_validator.check import ServingCheck
from components.span_drift.report import DriftReport


@dataclass(frozen=True)
class Verdict:
    """How the run ended.

    Attributes:
        kind: "pushed", "refused", "failed", "interrupted" or "unfinished".
        sentence: the outcome in words.
        reasons: a sentence for each reason why nothing was pushed.
    """

    kind: str
    sentence: str
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Metric:
    """A metric of the candidate and of the model in production on the test split.

    Attributes:
        name: name in the catalogue of metrics.
        value: the candidate's value, from TFMA; None if it is not defined.
        interval: confidence interval of `value`; None if there are no per-example predictions, or
            if they do not show how much it varies.
        production: the value of the model in production; None if there is none.
        difference: confidence interval of `value` - `production`, on the same images; None as for
            `interval`.
        over: over how many classes it is a mean, if not over all; "" if over all.
    """

    name: str
    value: float | None
    interval: Interval | None = None
    production: float | None = None
    difference: Interval | None = None
    over: str = ""


@dataclass(frozen=True)
class SliceScore:
    """A slice of the test split, such as `image/source=camera-1`; `interval` is of the accuracy."""

    name: str
    images: int
    accuracy: float
    macro_f1: float | None
    interval: Interval


@dataclass(frozen=True)
class Confusion:
    """Images of class `truth` predicted as `prediction`; `share` is relative to all of `truth`."""

    truth: str
    prediction: str
    images: int
    share: float


@dataclass(frozen=True)
class Bin:
    """A confidence bin; `score` is its images' mean, and `interval` is of the accuracy."""

    images: int
    score: float
    accuracy: float
    interval: Interval


@dataclass(frozen=True)
class Served:
    """The version that is served.

    Attributes:
        version: its number.
        since: when it was published, in seconds of Unix time; None if the number does not tell.
        own: whether this run made it.
        pinned: whether `retrain rollback` keeps it in production.
    """

    version: int
    since: float | None = None
    own: bool = False
    pinned: bool = False


@dataclass(frozen=True)
class FeatureSummary:
    """A measure of the train images: mean, and 10th (`low`), 50th and 90th (`high`) percentile."""

    name: str
    mean: float
    low: float
    median: float
    high: float


@dataclass(frozen=True)
class Curve:
    """A metric of one training; `values` maps "train" and "val" to the values by epoch."""

    task: str
    metric: str
    values: Mapping[str, tuple[float, ...]]


@dataclass(frozen=True)
class Step:
    """A component of the run; `size` is its outputs' bytes, None if it wrote nothing."""

    id: str
    state: str
    seconds: float
    size: int | None = None
    error: str = ""


@dataclass(frozen=True)
class Made:
    """The provenance of a run: config, code, data and packages.

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
    """The content of the page. Parts that a run did not reach are empty or None.

    Attributes:
        name: the pipeline's name.
        run: id of the run.
        verdict: how the run ended.
        labels: class names in the order of their ids.
        test_images: number of images in the test split.
        production: version with which the candidate was compared; None if there was none.
        metrics: metrics over the test split.
        classes: metrics by class, worst first.
        slices: metrics by slices of other features, worst first.
        matrix: images [true class, predicted class]; empty if there are too many classes.
        heat_map: shares by true class as a picture, if there are too many classes for `matrix`.
        confusions: the most frequent pairs of true class and other predicted class.
        bins: confidence bins, for the reliability diagram.
        wrong: number of misclassified test images.
        mistakes: the misclassified images with the highest scores.
        compared: number of train images that were searched for neighbours.
        data: counts of the ingested records.
        held: some of the quarantined images.
        drift: comparison of the span with the last accepted span.
        features: distribution of the measures of train images.
        augmented: contact sheet of augmented images; None if nothing was augmented.
        curves: metrics of each training by epoch.
        temperature: the divisor of the logits; see `trainer.calibration`.
        serving: latency and memory of the server; None if not measured.
        steps: the components of the run, filled in only from ML Metadata.
        card: statements for the model card, from the config.
        made: provenance of the run; None if not recorded.
        date: when the run's last component started, in seconds of Unix time; when the page was
            made, where ML Metadata does not tell; None if not recorded.
        served: the version that is served; None if there is none.
        samples: some images of train by class.
        drifted: images of each measure that drifted.
        suspects: images whose labels may be wrong, the most suspect first.
        evidence: how much the test split shows; None before version 0.3.
        gone: the artifacts that the page should show and that are gone, in words.
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
    date: float | None = None
    served: Served | None = None
    samples: tuple[ClassPictures, ...] = ()
    drifted: tuple[Drifted, ...] = ()
    suspects: tuple[Suspect, ...] = ()
    evidence: Evidence | None = None
    gone: tuple[str, ...] = ()

    # A metric may be undefined: NaN, which JSON's null would not bring back.
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(ser_json_inf_nan="constants")

    def to_json(self) -> str:
        """Returns the page as JSON."""
        return _PAGE.dump_json(self, indent=1).decode()

    @classmethod
    def from_json(cls, text: str) -> Page:
        """Reads the JSON of `to_json`."""
        return _PAGE.validate_json(text)


_PAGE = TypeAdapter(Page)
