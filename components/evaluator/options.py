"""The config's section `evaluation`: slices, bounds and the comparison with production."""

from typing import TYPE_CHECKING, Annotated, Any, Generic, Literal, TypeVar

from pydantic import AfterValidator, Field, create_model, model_validator

from components.evaluator.catalogue import CATALOGUE, METRICS
from trainer.features import IMAGE, MEASURED, SOURCE
from trainer.section import Section, Texts, check_unique, shown

_LOWER_IS_BETTER = ", ".join(metric.name for metric in CATALOGUE if metric.lower_is_better)


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
    """The values of one metric on the test split that pass."""

    min: Annotated[float, Field(ge=0, le=1)] | None = Field(None, examples=[0.5])
    """Lowest value that passes."""
    max: Annotated[float, Field(ge=0, le=1)] | None = Field(None, examples=[1.0])
    """Highest value that passes."""

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
    """How much worse than production one metric may be, both on the test split."""

    max_drop: float = Field(
        ge=0,
        le=1,
        description="How much worse than the model in production still passes: lower for most"
        f" metrics, higher for {_LOWER_IS_BETTER}.",
    )


Limit = TypeVar("Limit", Bound, Drop)


class PerMetric(Section, Generic[Limit]):
    """A limit for each metric of the catalogue; None where a metric has none."""

    def limits(self) -> dict[str, Limit]:
        """Returns the limits by metric name, without the metrics that have none."""
        named = {metric: getattr(self, metric) for metric in METRICS}
        return {metric: limit for metric, limit in named.items() if limit is not None}


def _fields(limit: type[Section]) -> dict[str, Any]:
    return {
        metric.name: (
            limit | None,
            Field(
                None,
                description=metric.description,
                examples=[metric.example] if metric.example else None,
            ),
        )
        for metric in CATALOGUE
    }


if TYPE_CHECKING:
    _Bounds = PerMetric[Bound]
    _Drops = PerMetric[Drop]
else:
    _Bounds = create_model("_Bounds", __base__=PerMetric[Bound], **_fields(Bound))
    _Drops = create_model("_Drops", __base__=PerMetric[Drop], **_fields(Drop))


class Regression(_Drops):
    """How much worse than the model in production each metric may be."""


class EachSlice(_Bounds):
    """The values of each metric that pass in every slice with enough examples."""

    min_examples: int = Field(30, ge=1)
    """Slices with fewer examples than this are not judged."""

    @model_validator(mode="after")
    def _bounds_something(self) -> "EachSlice":
        if not self.limits():
            raise ValueError(f"found no metric; allowed: one or more of {', '.join(METRICS)}")
        return self


class Thresholds(_Bounds):
    """The values of each metric that pass on the whole test split, and further bounds."""

    accuracy: Bound | None = Field(
        Bound(min=0.5),
        description=f"{METRICS['accuracy'].description} Set to null to drop this bound;"
        " evaluation.beat_majority still holds.",
    )
    regression: Regression = Regression.model_validate({"accuracy": {"max_drop": 0.01}})
    """How much worse than the model in production a new one may be, for any of the metrics above;
    without a model in production it is not looked at."""
    each_slice: EachSlice | None = Field(
        None, examples=[{"min_examples": 30, "accuracy": {"min": 0.5}}]
    )
    """Bounds that every slice must meet by itself, for any of the metrics above."""


class Evaluation(Section):
    """How a new model is judged."""

    slices: Annotated[Texts, AfterValidator(_check_slices)] = Field(
        (),
        description=f"Features by whose values metrics are also given, such as {SOURCE}."
        " Metrics by class always are, AUC among them up to 200 classes.",
    )
    min_class_images: int = Field(5, ge=0)
    """Fewest test images that a class needs to count as tested. 0 turns this off, and with it the
    second part of beat_majority."""
    untested: Literal["refuse", "tell"] = "refuse"
    """What happens if a class has fewer test images than min_class_images: refuse does not push the
    model; tell pushes it and says so first, in the verdict, summary, JSON and page."""
    beat_majority: bool = True
    """A model must be better than a constant answer: its accuracy must exceed the share of the most
    frequent class by a margin that the test images can show (one-sided exact binomial test, 95 %),
    and it must get at least one image right of each tested class. false turns this off."""
    thresholds: Thresholds = Thresholds()
    """What the new model must reach besides, or it is not pushed."""

    @model_validator(mode="after")
    def _judges_something(self) -> "Evaluation":
        if not self.beat_majority and not self.thresholds.limits():
            raise ValueError(
                "found beat_majority false and no metric with min or max in thresholds, so that any"
                f" model would pass; allowed: beat_majority true, or one of {', '.join(METRICS)}"
            )
        return self
