"""The section about the CNN of mode scratch."""

from typing import Annotated, Literal

from pydantic import Field

from trainer.section import Section

_Activation = Literal["relu", "relu6", "leaky_relu", "elu", "gelu", "silu", "tanh"]


class Block(Section):
    """Convolutions of one width, then pooling and dropout."""

    filters: int = Field(ge=1, le=8192)
    """Filters of each convolution."""
    convolutions: int = Field(2, ge=1, le=100)
    """How many convolutions."""
    kernel_size: int = Field(3, ge=1, le=31)
    """Side of each convolution, in pixels."""
    padding: Literal["same", "valid"] = "same"
    """Whether convolutions keep the size (same) or lose the edge (valid)."""
    activation: _Activation = "relu"
    """What follows each convolution."""
    batch_norm: bool = True
    """Whether each convolution is normalised."""
    pooling: Literal["max", "average", "none"] = "max"
    """What ends the block."""
    pool_size: int = Field(2, ge=1, le=32)
    """By how much pooling shrinks the sides."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Share of the result dropped in training."""


class Dense(Section):
    """A dense layer between the convolutions and the classes."""

    units: int = Field(ge=1, le=65_536)
    """Width of the layer."""
    activation: _Activation = "relu"
    """What follows it."""
    batch_norm: bool = False
    """Whether it is normalised."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Share of the result dropped in training."""


class Cnn(Section):
    """The network that mode scratch trains."""

    blocks: Annotated[tuple[Block, ...], Field(strict=False, min_length=1)] = (
        Block(filters=32, dropout=0.1),
        Block(filters=64, dropout=0.2),
        Block(filters=128, dropout=0.3),
    )
    """Blocks of convolutions, from the image on."""
    flatten: Literal["average", "max", "none"] = "average"
    """What becomes of the places in the last block: their average or maximum, or none to keep them
    all."""
    dense: Annotated[tuple[Dense, ...], Field(strict=False)] = (Dense(units=128, dropout=0.4),)
    """Dense layers after the blocks."""
