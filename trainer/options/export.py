"""The section about what is exported beside the SavedModel."""

from typing import Literal

from pydantic import Field

from trainer.section import Section


class Export(Section):
    """What is exported beside the SavedModel."""

    tflite: Literal["none", "float16", "int8"] = "none"
    """Whether model.tflite is written for phones and small devices, and with which numbers: float16
    halves its size, int8 quarters it."""
    min_agreement: float = Field(0.97, ge=0, le=1)
    """Least share of test images that model.tflite must give the same class as the SavedModel;
    below it nothing is pushed."""
    max_accuracy_drop: float = Field(0.02, ge=0, le=1)
    """By how much the accuracy of model.tflite on test may be lower."""
    calibration_images: int = Field(200, ge=1, le=1_000)  # they are held as floats
    """Images of train from which int8 learns the range of each activation."""
    float_share: float = Field(0.005, ge=0, le=0.1)
    """Share of the weights in the first operations of an int8 model.tflite that stay float32: on
    smooth images rounding these costs the most. 0 for accelerators that know integers only."""
