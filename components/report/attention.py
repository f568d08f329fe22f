"""Finds what a model looked at, by occlusion: it covers a patch and sees how much the score falls.

Unlike Grad-CAM, occlusion needs no feature map, so it works on any SavedModel with our signature,
whatever the backbone and the mode.

Source:
    M. Zeiler and R. Fergus, "Visualizing and understanding convolutional networks", ECCV 2014,
    section 4.2.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from PIL import Image

from components.report.pictures import load
from trainer.features import FAMILIARITY, IMAGE_BYTES, PROBABILITIES, SERVING_DEFAULT

# An image costs GRID * GRID + 1 predictions.
GRID = 6
# The patch is wider than a cell, so that neighbouring cells agree.
_PATCH = 2.0
# Larger images would be scaled down by nearly every model.
_SIDE = 256
_LEAST = 1e-7

Map = npt.NDArray[np.float32]
Predict = Callable[..., Mapping[str, tf.Tensor]]


def load_model(folder: str) -> Predict:
    """Returns the function that a SavedModel's signature `serving_default` names."""
    predict: Predict = tf.saved_model.load(folder).signatures[SERVING_DEFAULT]
    return predict


def familiarity(predict: Predict, images: Sequence[bytes]) -> list[float | None]:
    """Returns the familiarity of encoded images, in [0, 1]; None if the model does not tell it."""
    outputs = predict(**{IMAGE_BYTES: tf.constant(list(images))})
    if FAMILIARITY not in outputs:  # a model from before version 0.3
        return [None] * len(images)
    return [float(value) for value in outputs[FAMILIARITY]]


def maps(predict: Predict, images: Sequence[bytes], predictions: Sequence[int]) -> list[Map | None]:
    """Returns how much each region of each image speaks for the predicted class.

    Args:
        predict: the model; see `load_model`.
        images: encoded images.
        predictions: the class id that the model predicted for each image.

    Returns:
        For each image float32 [GRID, GRID] in [0, 1]: by how much the logarithm of the class's
        probability falls if a patch there is covered with the image's mean colour, relative to the
        largest fall. None if the image cannot be decoded, or no patch lowers the probability.
    """
    found: list[Map | None] = []
    for encoded, prediction in zip(images, predictions, strict=True):
        image = load(encoded, _SIDE)
        if image is None:
            found.append(None)
            continue
        outputs = predict(**{IMAGE_BYTES: tf.constant(_covered(image))})
        scores = outputs[PROBABILITIES].numpy()[:, prediction]
        logarithms = np.log(np.maximum(scores, _LEAST))
        falls = np.maximum(0, logarithms[0] - logarithms[1:]).reshape(GRID, GRID)
        most = float(falls.max())
        found.append((falls / most).astype(np.float32) if most > 0 else None)
    return found


def _covered(image: Image.Image) -> list[bytes]:
    """Returns the image, then its copies with a covered patch, row by row; all encoded."""
    pixels = np.asarray(image)
    mean = pixels.mean(axis=(0, 1)).astype(np.uint8)
    found = [_encode(pixels)]
    for row in range(GRID):
        for column in range(GRID):
            copy = pixels.copy()
            copy[_patch(row, pixels.shape[0]), _patch(column, pixels.shape[1])] = mean
            found.append(_encode(copy))
    return found


def _patch(cell: int, length: int) -> slice:
    middle, half = (cell + 0.5) * length / GRID, _PATCH / 2 * length / GRID
    start = max(0, round(middle - half))
    return slice(start, max(start + 1, round(middle + half)))


def _encode(pixels: npt.NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "BMP")  # neither lossy nor slow
    return buffer.getvalue()
