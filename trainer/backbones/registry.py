"""The registry of backbones: from a name to an object that builds the Keras model."""

from dataclasses import dataclass
from typing import Protocol

import keras

from trainer.backbones import catalog, efficientnet_lite, keras_applications, model_file


class Family(Protocol):
    """The functions of a module that builds backbones; `Backbone` documents them."""

    def build(self, name: str, image_size: int, weights: str) -> keras.Model:
        """Builds the model."""

    def checksum(self, name: str, weights: str) -> str:
        """Returns a text that identifies the weights."""

    def input_size(self, name: str, weights: str) -> int:
        """Returns the default side of the square input, in pixels."""


@dataclass(frozen=True)
class Backbone:
    """A network that turns images into embeddings, and the module that builds it."""

    name: str
    family: Family

    def input_size(self, weights: str) -> int:
        """Returns the default side of the square input, in pixels; `build` explains `weights`."""
        return self.family.input_size(self.name, weights)

    def build(self, image_size: int, weights: str) -> keras.Model:
        """Builds the model from images to embeddings; it scales pixels itself.

        Args:
            image_size: side of the square input, in pixels.
            weights: a symbolic name from the catalog ("none": random, so seed first), or the
                path of a weights file; for the backbone "file", the path of the model.

        Returns:
            A model from float32 RGB [batch, image_size, image_size, 3] in [0, 255] to float32
            [batch, dim]. It is trainable; as it has BatchNormalization layers, call it with
            `training=False` for inference.

        Raises:
            ValueError: the image size or the weights are not allowed, or the weights file is
                damaged or made for another network.
            FileNotFoundError: there is no such weights file, its package is not installed, or it
                cannot be downloaded.
        """
        return self.family.build(self.name, image_size, weights)

    def checksum(self, weights: str) -> str:
        """Returns a text that identifies the weights, without building the model.

        Returns:
            The sha256 of the weights file, 64 hex digits; "none" for random weights; for weights
            that Keras downloads, "imagenet of Keras" with its version.

        Raises:
            ValueError: the weights are not allowed, or the bundled file is damaged.
            FileNotFoundError: there is no such weights file, or its package is not installed.
        """
        return self.family.checksum(self.name, weights)


_FAMILIES: dict[str, Family] = {
    "efficientnet_lite": efficientnet_lite,
    "keras_applications": keras_applications,
    "model_file": model_file,
}


def get(name: str) -> Backbone:
    """Looks a backbone up by name.

    Raises:
        ValueError: no backbone has that name; the message lists the names that are allowed.
    """
    entry = catalog.get(name)
    return Backbone(entry.name, _FAMILIES[entry.family])
