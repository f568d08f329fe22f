"""The registry of backbones: from a name to an object that builds the Keras model."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

import keras

from trainer.backbones import catalog, efficientnet_lite, keras_applications, model_file


class Family(Protocol):
    """The functions of a module that builds a family of backbones."""

    def build(self, name: str, image_size: int, weights: str) -> keras.Model:
        """Builds the model, as `Backbone.build` promises it."""

    def checksum(self, name: str, weights: str) -> str:
        """Identifies the weights, as `Backbone.checksum` promises it."""

    def input_size(self, name: str, weights: str) -> int:
        """Returns the default side of the input, in pixels."""


@dataclass(frozen=True)
class Backbone:
    """A network that turns images into embeddings.

    Attributes:
        name: its name in the catalog.
        family: the module that builds it.
    """

    name: str
    family: Family

    def input_size(self, weights: str) -> int:
        """Returns the default side of the square input, in pixels; see `build` of weights."""
        return self.family.input_size(self.name, weights)

    def build(self, image_size: int, weights: str) -> keras.Model:
        """Builds the model: images in, embeddings out, its own input scaling included.

        Args:
            image_size: side of the square input, in pixels.
            weights: a symbolic name from the catalog ("none": random, so seed first), or a path;
                for the backbone "file", that of the model.

        Returns:
            A model from float32 RGB [batch, image_size, image_size, 3] in [0, 255] to float32
            [batch, dim]. It is trainable and holds BatchNormalization layers; to infer, call it
            with `training=False`.

        Raises:
            ValueError: the image size or the weights are not allowed, or the weights file is
                damaged or made for another network.
            FileNotFoundError: there is no such weights file, or its package is not installed.
        """
        return self.family.build(self.name, image_size, weights)

    def checksum(self, weights: str) -> str:
        """Identifies the weights that `weights` names, without building the model.

        Returns:
            The sha256 of the weights file as 64 hex digits, or "none" for random weights.

        Raises:
            ValueError: the weights are not allowed, or the bundled file is damaged.
            FileNotFoundError: there is no such weights file, or its package is not installed.
        """
        return self.family.checksum(self.name, weights)


_FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        "efficientnet_lite": efficientnet_lite,
        "keras_applications": keras_applications,
        "model_file": model_file,
    }
)


def names() -> tuple[str, ...]:
    """Lists the names of all backbones, in the order of the catalog."""
    return catalog.names()


def get(name: str) -> Backbone:
    """Looks a backbone up by name.

    Raises:
        ValueError: there is no backbone of that name; the message lists those there are.
    """
    entry = catalog.get(name)
    return Backbone(entry.name, _FAMILIES[entry.family])
