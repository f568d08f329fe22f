"""The section about the backbone."""

from pydantic import Field, ValidationInfo, field_validator

from trainer.backbones import catalog
from trainer.section import Location, Section, did_you_mean, shown


class Backbone(Section):
    """The network that turns an image into an embedding."""

    name: str = Field("efficientnet_lite0", json_schema_extra={"enum": list(catalog.names())})
    """Which network embeds the images."""
    weights: Location = Field(
        "bundled",
        json_schema_extra={"allowed": "bundled, imagenet, none, or a path with a / in it"},
    )
    """Where its weights come from: bundled (installed with the package), imagenet (downloaded by
    Keras, once), none (random, for tests) or the path of a weights file, written with a / in it."""
    path: Location | None = Field(None, examples=["models/backbone.keras"])
    """A .keras file or the folder of a SavedModel that is used in place of a named network: float32
    images in 0 to 255 in, one embedding or feature map out."""

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
        # A / marks a path; without it, a path could not be told from a misspelt symbol.
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
        """The backbone's name in the registry and its weights; "file" and `path` if that is set."""
        return (self.name, self.weights) if self.path is None else (catalog.FILE.name, self.path)
