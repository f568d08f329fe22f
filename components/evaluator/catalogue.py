"""The single list of all metrics: name, computation, and whether lower is better.

Config, Evaluator, bootstrap, page, summary and comparison all derive from it, so a new metric is
one entry here. The module loads neither TensorFlow nor numpy, because every command of the command
line imports it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from components.evaluator.sample import Sample, Scored

OWN = "components.evaluator.metrics"


@dataclass(frozen=True)
class Tfma:
    """The TFMA metric that computes a value.

    Attributes:
        class_name: class of the metric.
        options: arguments of its constructor, other than `name`.
        module: Python module of the class; "" for a class of TFMA or Keras.
    """

    class_name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    module: str = ""


@dataclass(frozen=True)
class Metric:
    """A metric over the whole test split; its values are in [0, 1].

    Attributes:
        name: key of the metric in the config, in TFMA's results and in every JSON file.
        title: heading on the report's page.
        note: explanation under the title.
        description: explanation in the config's documentation.
        tfma: the TFMA metric that computes it.
        measure: computes the metric from a bootstrap sample of per-example predictions.
        hits: for a share of images, bool [images], whether each image counts; else None.
        lower_is_better: whether a lower value means a better model.
        leads: whether the metric comes first on the page and appears on the model card.
        headline: name in the last lines of `retrain run`; "" if they omit the metric.
        example: example limits in the config's documentation.
    """

    name: str
    title: str
    note: str
    description: str
    tfma: Tfma
    measure: Callable[[Sample], float]
    hits: Callable[[Scored], npt.NDArray[np.bool_]] | None = None
    lower_is_better: bool = False
    leads: bool = False
    headline: str = ""
    example: Mapping[str, float] | None = None


CATALOGUE = (
    Metric(
        name="accuracy",
        title="Accuracy",
        note="share of images whose most probable class is the true one",
        description="Share of images whose most probable class is the true one.",
        tfma=Tfma("SparseCategoricalAccuracy"),
        measure=lambda sample: sample.share(sample.scored.correct),
        hits=lambda scored: scored.correct,
        leads=True,
        headline="accuracy",
    ),
    Metric(
        name="top_3_accuracy",
        title="Top-3 accuracy",
        note="share whose true class is among the 3 most probable",
        description="Share of images whose true class is among the 3 most probable ones.",
        tfma=Tfma("SparseTopKCategoricalAccuracy", {"k": 3}),
        measure=lambda sample: sample.share(sample.scored.rank < 3),
        hits=lambda scored: scored.rank < 3,
        leads=True,
        headline="top-3",
    ),
    Metric(
        name="macro_precision",
        title="Macro precision",
        note="share right among images given a class, averaged",
        description="Mean over classes of: share right among images given that class. Classes that"
        " are never predicted do not count.",
        tfma=Tfma("MacroAverage", module=OWN),
        measure=lambda sample: sample.classes.macro("precision"),
    ),
    Metric(
        name="macro_recall",
        title="Macro recall",
        note="share found among images of a class, averaged",
        description="Mean over classes of: share found among images of that class.",
        tfma=Tfma("MacroAverage", module=OWN),
        measure=lambda sample: sample.classes.macro("recall"),
    ),
    Metric(
        name="macro_f1",
        title="Macro F1",
        note="harmonic mean of precision and recall, averaged over classes",
        description="Mean over classes of the harmonic mean of precision and recall.",
        tfma=Tfma("MacroAverage", module=OWN),
        measure=lambda sample: sample.classes.macro("f1"),
        leads=True,
        headline="macro F1",
    ),
    Metric(
        name="expected_calibration_error",
        title="Calibration error",
        note="mean distance between score and share that is right; lower is better",
        description="Mean distance between the probability that the model states and the share"
        " that is right; lower is better.",
        tfma=Tfma("ExpectedCalibrationError", module=OWN),
        measure=lambda sample: sample.calibration_error(),
        lower_is_better=True,
        headline="calibration error",
        example={"max": 0.1},
    ),
)
METRICS = {metric.name: metric for metric in CATALOGUE}
# The order on the page: leading metrics come first.
ON_THE_PAGE = tuple(sorted(CATALOGUE, key=lambda metric: not metric.leads))
