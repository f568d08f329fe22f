"""The section about training."""

from typing import Annotated, Literal

from pydantic import Field

from trainer.options.augmentation import Augmentation
from trainer.options.cnn import Cnn
from trainer.section import Section


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
