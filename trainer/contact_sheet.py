"""A contact sheet: one picture of the images that a network sees in training."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import tensorflow as tf

FILE_NAME = "augmented.png"
_GAP = 2


def write(images: npt.NDArray[np.float32], path: str) -> None:
    """Writes images as a grid in one PNG file, on any file system that TensorFlow knows.

    `images` holds at least one: float32 [count, height, width, 3] in [0, 255].
    """
    count, height, width, _ = images.shape
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    sheet = np.full((rows * (height + _GAP), columns * (width + _GAP), 3), 255, np.uint8)
    for number, image in enumerate(images):
        row, column = divmod(number, columns)
        top, left = row * (height + _GAP), column * (width + _GAP)
        sheet[top : top + height, left : left + width] = np.clip(np.rint(image), 0, 255)
    tf.io.write_file(path, tf.io.encode_png(sheet))
