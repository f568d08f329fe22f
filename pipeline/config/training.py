"""The sections about what is learnt: the backbone and the training of the classifier."""

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from pipeline.config.values import Location, Section, guess, shown
from trainer.backbones import catalog


class Backbone(Section):
    """The network that turns an image into an embedding."""

    name: str = Field(
        "efficientnet_lite0",
        description="Which network embeds the images.",
        json_schema_extra={"enum": list(catalog.names())},
    )
    weights: Location = Field(
        "bundled",
        description="Where its weights come from: bundled (installed with the package), none"
        " (random, for tests) or the path of a weights file, written with a / in it.",
        json_schema_extra={"allowed": "bundled, none, or a path with a / in it"},
    )

    @field_validator("name")
    @classmethod
    def _in_catalog(cls, value: str) -> str:
        if value not in catalog.names():
            names = ", ".join(catalog.names())
            raise ValueError(
                f"found {shown(value)}; allowed: {names}{guess(value, catalog.names())}"
            )
        return value

    @field_validator("weights")
    @classmethod
    def _known_or_path(cls, value: str, info: ValidationInfo) -> str:
        # Without a / it cannot be told from a misspelt word, so that is what marks a path.
        if "/" in value or "name" not in info.data:
            return value
        symbols = catalog.get(info.data["name"]).weights
        if value not in symbols:
            raise ValueError(
                f"found {shown(value)}; allowed for {info.data['name']}: {', '.join(symbols)},"
                f" or a path with a / in it{guess(value, symbols)}"
            )
        return value


class Trainer(Section):
    """How the classifier learns."""

    mode: Literal["head"] = Field(
        "head", description="What is trained: head keeps the backbone as it is."
    )
    epochs: int = Field(40, ge=1, le=10_000, description="Passes over the training data, at most.")
    batch_size: int = Field(64, ge=1, le=65_536, description="Examples in each training step.")
    optimizer: Literal["adam", "rmsprop", "sgd"] = Field(
        "adam", description="Rule by which each step changes the head's weights."
    )
    learning_rate: float = Field(
        3e-4, gt=0, le=10, description="Size of the first steps; lower it if the loss jumps."
    )
    schedule: Literal["constant", "cosine"] = Field(
        "cosine",
        description="How the learning rate goes on: constant, or falling to 0 along a cosine.",
    )
    hidden_units: Annotated[int, Field(ge=1)] | None = Field(
        512,
        description="Width of the hidden layer between embedding and classes; null for none.",
    )
    dropout: float = Field(
        0.5, ge=0, lt=1, description="Share of the head's inputs dropped in each training step."
    )
    normalize: bool = Field(
        True, description="Whether embeddings are scaled to mean 0 and variance 1 first."
    )
    weight_decay: float = Field(
        0.0,
        ge=0,
        description="How strongly large weights are pulled to 0; raise it if the head overfits.",
    )
    patience: int = Field(
        5, ge=1, description="Epochs without a better validation loss before training stops."
    )
    # Keras takes seeds of 32 bits.
    seed: int = Field(1, ge=0, le=2**32 - 1, description="Start of all random numbers in training.")
