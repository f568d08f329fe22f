"""The section about how a model is judged: slices, bounds and the comparison with production."""

from typing import Annotated, Generic, TypeVar

from pydantic import AfterValidator, Field, model_validator

from trainer.features import IMAGE, MEASURED, SOURCE
from trainer.section import Section, Texts, check_unique, shown


def _check_slices(names: tuple[str, ...]) -> tuple[str, ...]:
    if IMAGE in names:
        raise ValueError(f"found {IMAGE}; allowed: features that images share, not the images")
    for name in names:
        if name in MEASURED:
            raise ValueError(
                f"found {shown(name)}, of which nearly every image has another value; allowed:"
                f" features with a few values, such as {SOURCE}"
            )
    return check_unique(names)


class Bound(Section):
    """What one metric must reach on the test split."""

    min: Annotated[float, Field(ge=0, le=1)] | None = Field(
        None, description="Lowest value that passes.", examples=[0.5]
    )
    max: Annotated[float, Field(ge=0, le=1)] | None = Field(
        None, description="Highest value that passes.", examples=[1.0]
    )

    @model_validator(mode="after")
    def _bounds_something(self) -> "Bound":
        if self.min is None and self.max is None:
            raise ValueError("found neither min nor max; allowed: one of them or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(
                f"found min {self.min:g} above max {self.max:g}; allowed: min up to max"
            )
        return self


class Drop(Section):
    """How one metric may compare with the model in production, both on the test split."""

    max_drop: float = Field(
        ge=0,
        le=1,
        description="How much worse than the model in production still passes: lower for most"
        " metrics, higher for expected_calibration_error.",
    )


Limit = TypeVar("Limit", Bound, Drop)


class PerMetric(Section, Generic[Limit]):
    """A limit for each metric; its fields are the one list of metrics that there is."""

    accuracy: Limit | None = Field(
        None,
        description="Share of images whose most probable class is the true one.",
    )
    top_3_accuracy: Limit | None = Field(
        None, description="Share of images whose true class is among the 3 most probable ones."
    )
    macro_precision: Limit | None = Field(
        None, description="Mean over classes of: share right among images given that class."
    )
    macro_recall: Limit | None = Field(
        None, description="Mean over classes of: share found among images of that class."
    )
    macro_f1: Limit | None = Field(
        None, description="Mean over classes of the harmonic mean of precision and recall."
    )
    expected_calibration_error: Limit | None = Field(
        None,
        description="Mean distance between the probability that the model states and the share"
        " that is right; lower is better.",
        examples=[{"max": 0.1}],
    )

    def limits(self) -> dict[str, Limit]:
        """Maps each metric that has a limit to it."""
        named = {metric: getattr(self, metric) for metric in METRICS}
        return {metric: limit for metric, limit in named.items() if limit is not None}


METRICS = tuple(PerMetric.model_fields)


class EachSlice(PerMetric[Bound]):
    """What every slice that is large enough must reach."""

    min_examples: int = Field(
        30, ge=1, description="Slices with fewer examples than this are not judged."
    )

    @model_validator(mode="after")
    def _bounds_something(self) -> "EachSlice":
        if not self.limits():
            raise ValueError(f"found no metric; allowed: one or more of {', '.join(METRICS)}")
        return self


class Thresholds(PerMetric[Bound]):
    """What a model must reach to be pushed."""

    accuracy: Bound | None = Field(
        Bound(min=0.5),
        description="Share of images whose most probable class is the true one. Set to null to"
        " drop this bound; another metric must then have one, as the Evaluator blesses no model"
        " without any.",
    )
    regression: PerMetric[Drop] = Field(
        PerMetric[Drop](accuracy=Drop(max_drop=0.01)),
        description="How much worse than the model in production a new one may be, for any of the"
        " metrics above; without a model in production it is not looked at.",
    )
    each_slice: EachSlice | None = Field(
        None,
        description="Bounds that every slice must meet by itself, for any of the metrics above.",
        examples=[{"min_examples": 30, "accuracy": {"min": 0.5}}],
    )

    @model_validator(mode="after")
    def _bounds_something(self) -> "Thresholds":
        if not self.limits():
            raise ValueError(
                "found no metric with min or max, and without one no model is ever blessed;"
                f" allowed: one or more of {', '.join(METRICS)}"
            )
        return self


class Evaluation(Section):
    """How a new model is judged."""

    slices: Annotated[Texts, AfterValidator(_check_slices)] = Field(
        (),
        description=f"Features by whose values metrics are also given, such as {SOURCE}."
        " Metrics by class always are, AUC among them up to 200 classes.",
    )
    thresholds: Thresholds = Field(
        Thresholds(), description="What the new model must reach, or it is not pushed."
    )
