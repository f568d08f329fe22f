"""The whole config, and the sections of a few keys."""

from pydantic import Field, ValidationInfo, field_validator

from pipeline.config.data import Data, Image
from pipeline.config.evaluation import Evaluation
from pipeline.config.kubeflow import Kubeflow
from pipeline.config.serving import Serving
from pipeline.config.training import Backbone, Trainer
from pipeline.config.values import Location, Section, Texts, shown
from trainer.backbones import catalog


class Push(Section):
    """Where models go that passed."""

    keep: int = Field(5, ge=1, description="How many versions stay in the model store.")
    model_store: Location | None = Field(
        None,
        description="Folder of versions that TF Serving watches. If left out, models/{name} in"
        " output.",
        examples=["models/images"],
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
        description="Name of the pipeline and of the model that it pushes.",
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
    evaluation: Evaluation = Field(Evaluation(), description="How a new model is judged.")
    serving: Serving = Field(
        Serving(), description="What a server must do with a model before it is pushed."
    )
    push: Push = Field(Push(), description="What becomes of models that passed.")
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

    @property
    def model_store(self) -> str:
        """Folder that holds the pushed versions."""
        return self.push.model_store or f"{self.output}/models/{self.name}"

    @property
    def image_size(self) -> int:
        """Side in pixels of the square that the backbone gets."""
        return self.image.size or catalog.get(self.backbone.name).input_size
