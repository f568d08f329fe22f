"""The whole config: its sections, and the paths derived from them."""

from pydantic import Field, ValidationInfo, field_validator

from components.evaluator.options import Evaluation
from components.pusher.options import Push
from components.report.options import Card
from components.serving_validator.options import Serving
from pipeline.config.data import Data
from pipeline.config.kubeflow import Kubeflow
from trainer.backbones import catalog
from trainer.options.backbone import Backbone
from trainer.options.export import Export
from trainer.options.image import Image
from trainer.options.training import Trainer
from trainer.options.tuning import Tuner
from trainer.section import Location, Section, Texts, shown


class Beam(Section):
    """How Beam runs the data steps."""

    args: Texts = ()
    """Options for Beam as it takes them, such as --direct_num_workers=2."""


class Config(Section):
    """The whole config of a pipeline."""

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9_-]{0,127}$",
        json_schema_extra={
            "allowed": "up to 128 lower-case letters, digits, hyphens and underscores,"
            " the first a letter or digit"
        },
    )
    """Name of the pipeline and, unless push.model_store says otherwise, of the model that it
    pushes."""
    data: Data
    """Where the images come from."""
    image: Image = Image()
    """What becomes of an image before the backbone."""
    backbone: Backbone = Backbone()
    """The network that turns images into embeddings."""
    trainer: Trainer = Trainer()
    """How the classifier learns."""
    tuner: Tuner | None = Field(None, examples=[{"trials": 30}])
    """How better hyperparameters of the head are searched for before it is trained; null for no
    search."""
    export: Export = Export()
    """What is exported beside the SavedModel."""
    evaluation: Evaluation = Evaluation()
    """How a new model is judged."""
    serving: Serving = Serving()
    """What a server must do with a model before it is pushed."""
    push: Push = Push()
    """What becomes of models that passed."""
    card: Card = Card()
    """What the model card in the report says."""
    beam: Beam = Beam()
    """How Beam runs the data steps."""
    kubeflow: Kubeflow = Kubeflow()
    """How the pipeline runs on Kubeflow."""
    output: Location = "runs/{name}"
    """Folder for all that runs make; {name} stands for the pipeline's name."""

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
    def statistics_store(self) -> str:
        """Folder of the samples of the spans that passed the data gate."""
        return f"{self.output}/statistics"

    @property
    def metadata_file(self) -> str:
        """Path of ML Metadata's sqlite database."""
        return f"{self.output}/metadata.db"

    @property
    def model_name(self) -> str:
        """The model's name in requests to a server: the last part of the model store's path."""
        return self.model_store.rstrip("/").rpartition("/")[2]

    @property
    def image_size(self) -> int | None:
        """Side in pixels of the network's square input; None if the network itself defines it."""
        if self.trainer.mode == "scratch" or self.backbone.path is not None:
            return self.image.size
        return self.image.size or catalog.get(self.backbone.name).input_size
