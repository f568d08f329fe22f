"""The section about augmentation."""

from typing import Literal

from pydantic import Field

from trainer.section import Section


class Augmentation(Section):
    """What training does to images so that the network sees more than there are."""

    flip: Literal["none", "horizontal", "vertical", "both"] = "horizontal"
    """Along which axis images may be mirrored."""
    crop: float = Field(1.0, gt=0, le=1)
    """Least share of an image's area that a random crop keeps; 1 for no such crop."""
    rotation: float = Field(0.0, ge=0, le=180)
    """Degrees by which images are turned at most, either way."""
    zoom: float = Field(0.0, ge=0, lt=1)
    """Share by which images are scaled at most, in and out."""
    translation: float = Field(0.1, ge=0, lt=1)
    """Share of the side by which images are shifted at most."""
    brightness: float = Field(0.0, ge=0, le=1)
    """Share of the range by which brightness changes at most."""
    contrast: float = Field(0.0, ge=0, lt=1)
    """Share by which contrast changes at most."""
    rand_augment_layers: int = Field(0, ge=0, le=10)
    """How many of RandAugment's operations each image gets."""
    rand_augment_magnitude: float = Field(0.3, ge=0, le=1)
    """How strong RandAugment's operations are."""
    mixup: float = Field(0.0, ge=0, le=10)
    """Alpha of MixUp, which blends two images and their labels; 0 for none, 0.2 is usual."""
    cutmix: float = Field(0.0, ge=0, le=10)
    """Alpha of CutMix, which puts a part of one image into another; 0 for none, 1 is usual."""
    fill: Literal["reflect", "nearest", "constant", "wrap"] = "reflect"
    """What stands where an image was shifted or turned away."""
