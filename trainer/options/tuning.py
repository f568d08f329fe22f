"""The section about the search for hyperparameters."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from trainer.section import Section


class Range(Section):
    """Numbers to search between."""

    min: float = Field(ge=0)
    """Lowest value."""
    max: float = Field(gt=0)
    """Highest value."""
    scale: Literal["linear", "log"] = "linear"
    """Whether values are spread evenly, or their logarithms are."""

    @model_validator(mode="after")
    def _in_order(self) -> "Range":
        if self.min >= self.max or (self.min <= 0 and self.scale == "log"):
            raise ValueError(
                f"found min {self.min:g} and max {self.max:g}; allowed: a min below max, and above"
                " 0 on a log scale"
            )
        return self


_Integers = Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(strict=False, min_length=1)]
_Optimizers = Annotated[
    tuple[Literal["adam", "rmsprop", "sgd"], ...], Field(strict=False, min_length=1)
]


class Search(Section):
    """What is searched; null leaves a key of the section trainer as it is."""

    learning_rate: Range | None = Range(min=3e-4, max=3e-3, scale="log")
    """Learning rates to search between."""
    dropout: Range | None = Range(min=0.3, max=0.6)
    """Shares to search between."""
    hidden_units: _Integers | None = (256, 512)
    """Widths to choose from."""
    batch_size: _Integers | None = Field(None, examples=[[128, 256, 512]])
    """Batch sizes to choose from."""
    optimizer: _Optimizers | None = Field(None, examples=[["adam", "sgd"]])
    """Optimizers to choose from."""
    weight_decay: Range | None = Field(None, examples=[{"min": 1e-6, "max": 1e-3, "scale": "log"}])
    """Weight decays to search between."""
    label_smoothing: Range | None = Field(None, examples=[{"min": 0.0, "max": 0.2}])
    """Label smoothing to search between; rate it by val_accuracy, as the loss changes with it."""

    @field_validator("dropout", "label_smoothing")
    @classmethod
    def _shares(cls, value: Range | None) -> Range | None:
        if value is not None and value.max >= 1:
            raise ValueError(f"found max {value.max:g}; allowed: a share below 1")
        return value


class Tuner(Section):
    """How better hyperparameters of the head are searched for."""

    trials: int = Field(30, ge=1, le=10_000)
    """How many heads are trained."""
    epochs: int = Field(6, ge=1, le=10_000)
    """Passes over the training data in each trial, at most; the Trainer takes trainer.epochs of
    them with what was found."""
    algorithm: Literal["random", "bayesian"] = "random"
    """How the next trial is chosen."""
    objective: Literal["val_loss", "val_accuracy"] = "val_loss"
    """What trials are rated by, on val."""
    search: Search = Search()
    """What is searched."""
