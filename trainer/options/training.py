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
        json_schema_extra={"allowed": "a number from 0 up to 1, or the start of a layer's name"},
    )
    """Share of the backbone's layers that learn, counted from the top, or what the name of the
    first of them starts with."""
    epochs: int = Field(10, ge=1, le=10_000)
    """Passes over the training data, at most."""
    batch_size: int = Field(32, ge=1, le=65_536)
    """Images in each training step."""
    learning_rate: float = Field(3e-4, gt=0, le=10)
    """Size of the largest steps; lower it if val gets worse."""
    warmup_epochs: float = Field(1.0, ge=0)
    """Epochs in which the learning rate rises from 0, so that the start spoils nothing."""
    weight_decay: float = Field(0.0, ge=0)
    """How strongly weights are pulled to 0."""
    clip_norm: Annotated[float, Field(gt=0)] | None = 1.0
    """Longest step that the gradients may ask for; null for any."""
    patience: int = Field(5, ge=1)
    """Epochs without a better validation loss before training stops."""


class Trainer(Section):
    """How the classifier learns."""

    mode: Literal["head", "finetune", "scratch"] = "head"
    """What is trained: head keeps the backbone as it is; finetune trains its top too, after the
    head; scratch trains the network of the section cnn."""
    epochs: int = Field(40, ge=1, le=10_000)
    """Passes over the training data, at most."""
    batch_size: int = Field(64, ge=1, le=65_536)
    """Examples in each training step."""
    optimizer: Literal["adam", "rmsprop", "sgd"] = "adam"
    """Rule by which each step changes the weights."""
    learning_rate: float = Field(3e-4, gt=0, le=10)
    """Size of the first steps; lower it if the loss jumps."""
    schedule: Literal["constant", "cosine"] = "cosine"
    """How the learning rate goes on: constant, or falling to 0 along a cosine."""
    warmup_epochs: float = Field(0.0, ge=0)
    """Epochs in which the learning rate rises from 0 first."""
    hidden_units: Annotated[int, Field(ge=1)] | None = 512
    """Width of the hidden layer between embedding and classes; null for none."""
    dropout: float = Field(0.5, ge=0, lt=1)
    """Share of the head's inputs dropped in each training step."""
    normalize: bool = True
    """Whether embeddings are scaled to mean 0 and variance 1 first."""
    weight_decay: float = Field(0.0, ge=0)
    """How strongly large weights are pulled to 0; raise it if the model overfits."""
    clip_norm: Annotated[float, Field(gt=0)] | None = Field(None, examples=[1.0])
    """Longest step that the gradients may ask for; null for any, 1 tames a loss that jumps."""
    patience: int = Field(5, ge=1)
    """Epochs without a better validation loss before training stops."""
    # Keras takes seeds of 32 bits.
    seed: int = Field(1, ge=0, le=2**32 - 1)
    """Start of all random numbers in training."""
    loss: Literal["cross_entropy", "focal"] = "cross_entropy"
    """What is made small: focal makes examples count less that are right already."""
    focal_gamma: float = Field(2.0, ge=0, le=10)
    """How much less they count with the focal loss."""
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    """Share of each label that is spread over all classes; 0.1 helps where labels are wrong at
    times."""
    class_weights: Literal["balanced"] | dict[str, Annotated[float, Field(ge=0)]] | None = Field(
        None,
        json_schema_extra={"allowed": "balanced, a mapping of class name to weight, or null"},
        examples=["balanced"],
    )
    """How much an example of each class counts: balanced makes all classes count the same, a
    mapping gives weights by class name, 1 for those left out."""
    calibrate: bool = True
    """Whether probabilities are made to mean what they say, by a temperature fitted on val."""
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = "float32"
    """Numbers that training from pixels computes with: mixed_float16 is for GPUs."""
    steps_per_execution: int = Field(1, ge=1, le=10_000)
    """Training steps that run between two looks at the loss; more of them spare overhead on fast
    devices. The next lower number is taken that divides an epoch's steps."""
    jit_compile: bool = False
    """Whether XLA compiles the training step; it slows CPUs down."""
    finetune: Finetune = Finetune()
    """What differs, in mode finetune, when the backbone learns too."""
    cnn: Cnn = Cnn()
    """The network that mode scratch trains."""
    augmentation: Augmentation = Augmentation()
    """What training does to images in the modes finetune and scratch; evaluation and serving see
    them as they are."""
