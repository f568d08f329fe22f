"""The whole config, and the sections of a few keys."""

from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from components.pusher.options import Push
from pipeline.config.card import Card
from pipeline.config.data import Data, Image
from pipeline.config.evaluation import Evaluation
from pipeline.config.kubeflow import Kubeflow
from pipeline.config.serving import Serving
from pipeline.config.training import Backbone, Trainer
from pipeline.config.tuning import Tuner
from trainer.backbones import catalog
from trainer.section import Location, Section, Texts, shown


class Export(Section):
    """What is exported beside the SavedModel."""

    tflite: Literal["none", "float16", "int8"] = Field(
        "none",
        description="Whether model.tflite is written for phones and small devices, and with which"
        " numbers: float16 halves its size, int8 quarters it.",
    )
    min_agreement: float = Field(
        0.97,
        ge=0,
        le=1,
        description="Least share of test images that model.tflite must give the same class as the"
        " SavedModel; below it nothing is pushed.",
    )
    max_accuracy_drop: float = Field(
        0.02,
        ge=0,
        le=1,
        description="By how much the accuracy of model.tflite on test may be lower.",
    )
    calibration_images: int = Field(
        200,
        ge=1,
        le=1_000,  # they are held as floats
        description="Images of train from which int8 learns the range of each activation.",
    )
    float_share: float = Field(
        0.005,
        ge=0,
        le=0.1,
        description="Share of the weights in the first operations of an int8 model.tflite that stay"
        " float32: on smooth images rounding these costs the most. 0 for accelerators that know"
        " integers only.",
    )


class Beam(Section):
    """How Beam runs the data steps."""

    args: Texts = Field(
        (), description="Options for Beam as it takes them, such as --direct_num_workers=2."
    )


class Config(Section):
    """Everything a pipeline can be told."""

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9_-]{0,127}$",
        description="Name of the pipeline and, unless push.model_store says otherwise, of the model"
        " that it pushes.",
        json_schema_extra={
            "allowed": "up to 128 lower-case letters, digits, hyphens and underscores,"
            " the first a letter or digit"
        },
    )
    data: Data = Field(description="Where the images come from.")
    image: Image = Field(Image(), description="What becomes of an image before the backbone.")
    backbone: Backbone = Field(
        Backbone(), description="The network that turns images into embeddings."
    )
    trainer: Trainer = Field(Trainer(), description="How the classifier learns.")
    tuner: Tuner | None = Field(
        None,
        description="How better hyperparameters of the head are searched for before it is trained;"
        " null for no search.",
        examples=[{"trials": 30}],
    )
    export: Export = Field(Export(), description="What is exported beside the SavedModel.")
    evaluation: Evaluation = Field(Evaluation(), description="How a new model is judged.")
    serving: Serving = Field(
        Serving(), description="What a server must do with a model before it is pushed."
    )
    push: Push = Field(Push(), description="What becomes of models that passed.")
    card: Card = Field(Card(), description="What the model card in the report says.")
    beam: Beam = Field(Beam(), description="How Beam runs the data steps.")
    kubeflow: Kubeflow = Field(Kubeflow(), description="How the pipeline runs on Kubeflow.")
    output: Location = Field(
        "runs/{name}",
        description="Folder for all that runs make; {name} stands for the pipeline's name.",
    )

    @field_validator("output")
    @classmethod
    def _put_name(cls, value: str, info: ValidationInfo) -> str:
        put = value.replace("{name}", info.data.get("name", ""))
        if "{" in put or "}" in put:
            raise ValueError(f"found {shown(value)}; allowed: no braces other than {{name}}")
        return put

    @field_validator("push")
    @classmethod
    def _put_name_in_store(cls, value: Push, info: ValidationInfo) -> Push:
        if value.model_store is None:
            return value
        return value.model_copy(update={"model_store": cls._put_name(value.model_store, info)})

    @field_validator("tuner")
    @classmethod
    def _head_to_tune(cls, value: Tuner | None, info: ValidationInfo) -> Tuner | None:
        trainer = info.data.get("trainer")
        if value is not None and trainer is not None and trainer.mode == "scratch":
            raise ValueError(
                "found a search in mode scratch; allowed: null, or trainer.mode head or finetune"
            )
        return value

    @property
    def model_store(self) -> str:
        """Folder that holds the pushed versions."""
        return self.push.model_store or f"{self.output}/models/{self.name}"

    @property
    def model_name(self) -> str:
        """The model's name in requests."""
        return self.model_store.rstrip("/").rpartition("/")[2]

    @property
    def image_size(self) -> int | None:
        """Side in pixels of the square that the network gets; None where the network decides."""
        if self.trainer.mode == "scratch" or self.backbone.path is not None:
            return self.image.size
        return self.image.size or catalog.get(self.backbone.name).input_size
