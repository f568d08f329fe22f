"""The sections about what is learnt: the backbone and the training of the classifier."""

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from trainer.backbones import catalog
from trainer.section import Location, Section, did_you_mean, shown


class Backbone(Section):
    """The network that turns an image into an embedding."""

    name: str = Field(
        "efficientnet_lite0",
        description="Which network embeds the images.",
        json_schema_extra={"enum": list(catalog.names())},
    )
    weights: Location = Field(
        "bundled",
        description="Where its weights come from: bundled (installed with the package), imagenet"
        " (downloaded by Keras, once), none (random, for tests) or the path of a weights file,"
        " written with a / in it.",
        json_schema_extra={"allowed": "bundled, imagenet, none, or a path with a / in it"},
    )
    path: Location | None = Field(
        None,
        description="A .keras file or the folder of a SavedModel that is used in place of a named"
        " network: float32 images in 0 to 255 in, one embedding or feature map out.",
        examples=["models/backbone.keras"],
    )

    @field_validator("name")
    @classmethod
    def _in_catalog(cls, value: str) -> str:
        if value not in catalog.names():
            names = ", ".join(catalog.names())
            raise ValueError(
                f"found {shown(value)}; allowed: {names}{did_you_mean(value, catalog.names())}"
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
                f" or a path with a / in it{did_you_mean(value, symbols)}"
            )
        return value

    @property
    def source(self) -> tuple[str, str]:
        """The name and the weights by which the registry of backbones knows it."""
        return (self.name, self.weights) if self.path is None else (catalog.FILE.name, self.path)


class Augmentation(Section):
    """What training does to images so that the network sees more than there are."""

    flip: Literal["none", "horizontal", "vertical", "both"] = Field(
        "horizontal", description="Along which axis images may be mirrored."
    )
    crop: float = Field(
        1.0,
        gt=0,
        le=1,
        description="Least share of an image's area that a random crop keeps; 1 for no such crop.",
    )
    rotation: float = Field(
        0.0, ge=0, le=180, description="Degrees by which images are turned at most, either way."
    )
    zoom: float = Field(
        0.0, ge=0, lt=1, description="Share by which images are scaled at most, in and out."
    )
    translation: float = Field(
        0.1, ge=0, lt=1, description="Share of the side by which images are shifted at most."
    )
    brightness: float = Field(
        0.0, ge=0, le=1, description="Share of the range by which brightness changes at most."
    )
    contrast: float = Field(0.0, ge=0, lt=1, description="Share by which contrast changes at most.")
    rand_augment_layers: int = Field(
        0, ge=0, le=10, description="How many of RandAugment's operations each image gets."
    )
    rand_augment_magnitude: float = Field(
        0.3, ge=0, le=1, description="How strong RandAugment's operations are."
    )
    mixup: float = Field(
        0.0,
        ge=0,
        le=10,
        description="Alpha of MixUp, which blends two images and their labels; 0 for none,"
        " 0.2 is usual.",
    )
    cutmix: float = Field(
        0.0,
        ge=0,
        le=10,
        description="Alpha of CutMix, which puts a part of one image into another; 0 for none,"
        " 1 is usual.",
    )
    fill: Literal["reflect", "nearest", "constant", "wrap"] = Field(
        "reflect", description="What stands where an image was shifted or turned away."
    )


class Finetune(Section):
    """What differs, in mode finetune, when the backbone learns too."""

    unfreeze: Annotated[float, Field(ge=0, le=1)] | Annotated[str, Field(min_length=1)] = Field(
        0.7,
        description="Share of the backbone's layers that learn, counted from the top, or what the"
        " name of the first of them starts with.",
        json_schema_extra={"allowed": "a number from 0 up to 1, or the start of a layer's name"},
    )
    epochs: int = Field(10, ge=1, le=10_000, description="Passes over the training data, at most.")
    batch_size: int = Field(32, ge=1, le=65_536, description="Images in each training step.")
    learning_rate: float = Field(
        3e-4, gt=0, le=10, description="Size of the largest steps; lower it if val gets worse."
    )
    warmup_epochs: float = Field(
        1.0,
        ge=0,
        description="Epochs in which the learning rate rises from 0, so that the start"
        " spoils nothing.",
    )
    weight_decay: float = Field(0.0, ge=0, description="How strongly weights are pulled to 0.")
    clip_norm: Annotated[float, Field(gt=0)] | None = Field(
        1.0, description="Longest step that the gradients may ask for; null for any."
    )
    patience: int = Field(
        5, ge=1, description="Epochs without a better validation loss before training stops."
    )


_Activation = Literal["relu", "relu6", "leaky_relu", "elu", "gelu", "silu", "tanh"]


class Block(Section):
    """Convolutions of one width, then pooling and dropout."""

    filters: int = Field(ge=1, le=8192, description="Filters of each convolution.")
    convolutions: int = Field(2, ge=1, le=100, description="How many convolutions.")
    kernel_size: int = Field(3, ge=1, le=31, description="Side of each convolution, in pixels.")
    padding: Literal["same", "valid"] = Field(
        "same", description="Whether convolutions keep the size (same) or lose the edge (valid)."
    )
    activation: _Activation = Field("relu", description="What follows each convolution.")
    batch_norm: bool = Field(True, description="Whether each convolution is normalised.")
    pooling: Literal["max", "average", "none"] = Field("max", description="What ends the block.")
    pool_size: int = Field(2, ge=1, le=32, description="By how much pooling shrinks the sides.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Share of the result dropped in training.")


class Dense(Section):
    """A dense layer between the convolutions and the classes."""

    units: int = Field(ge=1, le=65_536, description="Width of the layer.")
    activation: _Activation = Field("relu", description="What follows it.")
    batch_norm: bool = Field(False, description="Whether it is normalised.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Share of the result dropped in training.")


class Cnn(Section):
    """The network that mode scratch trains."""

    blocks: Annotated[tuple[Block, ...], Field(strict=False, min_length=1)] = Field(
        (
            Block(filters=32, dropout=0.1),
            Block(filters=64, dropout=0.2),
            Block(filters=128, dropout=0.3),
        ),
        description="Blocks of convolutions, from the image on.",
    )
    flatten: Literal["average", "max", "none"] = Field(
        "average",
        description="What becomes of the places in the last block: their average or maximum, or"
        " none to keep them all.",
    )
    dense: Annotated[tuple[Dense, ...], Field(strict=False)] = Field(
        (Dense(units=128, dropout=0.4),), description="Dense layers after the blocks."
    )


class Trainer(Section):
    """How the classifier learns."""

    mode: Literal["head", "finetune", "scratch"] = Field(
        "head",
        description="What is trained: head keeps the backbone as it is; finetune trains its top"
        " too, after the head; scratch trains the network of the section cnn.",
    )
    epochs: int = Field(40, ge=1, le=10_000, description="Passes over the training data, at most.")
    batch_size: int = Field(64, ge=1, le=65_536, description="Examples in each training step.")
    optimizer: Literal["adam", "rmsprop", "sgd"] = Field(
        "adam", description="Rule by which each step changes the weights."
    )
    learning_rate: float = Field(
        3e-4, gt=0, le=10, description="Size of the first steps; lower it if the loss jumps."
    )
    schedule: Literal["constant", "cosine"] = Field(
        "cosine",
        description="How the learning rate goes on: constant, or falling to 0 along a cosine.",
    )
    warmup_epochs: float = Field(
        0.0, ge=0, description="Epochs in which the learning rate rises from 0 first."
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
        description="How strongly large weights are pulled to 0; raise it if the model overfits.",
    )
    clip_norm: Annotated[float, Field(gt=0)] | None = Field(
        None,
        description="Longest step that the gradients may ask for; null for any, 1 tames a loss"
        " that jumps.",
        examples=[1.0],
    )
    patience: int = Field(
        5, ge=1, description="Epochs without a better validation loss before training stops."
    )
    # Keras takes seeds of 32 bits.
    seed: int = Field(1, ge=0, le=2**32 - 1, description="Start of all random numbers in training.")
    loss: Literal["cross_entropy", "focal"] = Field(
        "cross_entropy",
        description="What is made small: focal makes examples count less that are right already.",
    )
    focal_gamma: float = Field(
        2.0, ge=0, le=10, description="How much less they count with the focal loss."
    )
    label_smoothing: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Share of each label that is spread over all classes; 0.1 helps where labels"
        " are wrong at times.",
    )
    class_weights: Literal["balanced"] | dict[str, Annotated[float, Field(ge=0)]] | None = Field(
        None,
        description="How much an example of each class counts: balanced makes all classes count"
        " the same, a mapping gives weights by class name, 1 for those left out.",
        json_schema_extra={"allowed": "balanced, a mapping of class name to weight, or null"},
        examples=["balanced"],
    )
    calibrate: bool = Field(
        True,
        description="Whether probabilities are made to mean what they say, by a temperature fitted"
        " on val.",
    )
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = Field(
        "float32",
        description="Numbers that training from pixels computes with: mixed_float16 is for GPUs.",
    )
    steps_per_execution: int = Field(
        1,
        ge=1,
        le=10_000,
        description="Training steps that run between two looks at the loss; more of them spare"
        " overhead on fast devices. The next lower number is taken that divides an epoch's steps.",
    )
    jit_compile: bool = Field(
        False, description="Whether XLA compiles the training step; it slows CPUs down."
    )
    finetune: Finetune = Field(
        Finetune(), description="What differs, in mode finetune, when the backbone learns too."
    )
    cnn: Cnn = Field(Cnn(), description="The network that mode scratch trains.")
    augmentation: Augmentation = Field(
        Augmentation(),
        description="What training does to images in the modes finetune and scratch; evaluation"
        " and serving see them as they are.",
    )
