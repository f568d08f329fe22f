"""Computes measures of images, such as brightness, for statistics and drift."""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

# ITU-R BT.601: what JPEG calls Y.
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_LEVELS = 256
# Measuring takes about 40 bytes per pixel; more pixels of one image would only cost memory.
_MOST_PIXELS = 1 << 24


class Measures(NamedTuple):
    """The measures of one image; `trainer.features.MEASURED` names their features in this order.

    Attributes:
        height: in pixels.
        width: in pixels.
        aspect: width divided by height.
        brightness: mean luma, in [0, 1].
        contrast: standard deviation of the luma, in [0, 0.5].
        sharpness: variance of the Laplacian of the luma; 0 if a side is below 3 pixels.
        colourfulness: 0 for grey, about 0.4 for extremely colourful.
        entropy: of the luma's histogram with 256 levels, in bits, [0, 8].
        bytes: size of the encoded image, in bytes.
    """

    height: int
    width: int
    aspect: float
    brightness: float
    contrast: float
    sharpness: float
    colourfulness: float
    entropy: float
    bytes: int


def luma(pixels: npt.NDArray[np.uint8]) -> Floats:
    """Returns the luma in [0, 1], weighted as in ITU-R BT.601, float32 [batch, height, width].

    The pixels are uint8 [batch, height, width, 3], RGB; large images are thinned as in `measure`.
    """
    weighted: Floats = _thinned(pixels) @ (_LUMA / np.float32(255))
    return weighted


def measure(pixels: npt.NDArray[np.uint8], lumas: Floats, sizes: list[int]) -> list[Measures]:
    """Measures a batch of images of one size.

    An image of more than 2**24 pixels is thinned to at most that many by using only every n-th row
    and column. Height, width and aspect are of the whole image; all else is of the thinned image.

    Args:
        pixels: uint8 [batch, height, width, 3], RGB.
        lumas: luma of the images, from `luma`.
        sizes: bytes of each encoded image.

    Sources:
        Sharpness: J. L. Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy: a
            comparative study", ICPR 2000.
        Colourfulness: D. Hasler and S. Süsstrunk, "Measuring colourfulness in natural images",
            2003, here of channels in [0, 1].
    """
    _, height, width, _ = pixels.shape
    pixels = _thinned(pixels)
    columns = zip(
        lumas.mean(axis=(1, 2), dtype=np.float64).tolist(),
        lumas.std(axis=(1, 2), dtype=np.float64).tolist(),
        _sharpness(lumas).tolist(),
        _colourfulness(pixels).tolist(),
        _entropy(lumas).tolist(),
        sizes,
        strict=True,
    )
    return [Measures(height, width, width / height, *row) for row in columns]


def _thinned(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    _, height, width, _ = pixels.shape
    step = math.ceil(math.sqrt(height * width / _MOST_PIXELS))
    return pixels[:, ::step, ::step]


def _sharpness(lumas: Floats) -> npt.NDArray[np.float64]:
    if min(lumas.shape[1:]) < 3:
        return np.zeros(len(lumas))
    centre = lumas[:, 1:-1, 1:-1]
    laplacian = (
        lumas[:, :-2, 1:-1] + lumas[:, 2:, 1:-1] + lumas[:, 1:-1, :-2] + lumas[:, 1:-1, 2:]
    ) - 4 * centre
    variance: npt.NDArray[np.float64] = laplacian.var(axis=(1, 2), dtype=np.float64)
    return variance


def _colourfulness(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    red, green, blue = (pixels[..., channel].astype(np.float32) / 255 for channel in range(3))
    red_green, yellow_blue = red - green, (red + green) / 2 - blue
    spread, offset = (
        np.hypot(
            getattr(red_green, statistic)(axis=(1, 2), dtype=np.float64),
            getattr(yellow_blue, statistic)(axis=(1, 2), dtype=np.float64),
        )
        for statistic in ("std", "mean")
    )
    colourfulness: npt.NDArray[np.float64] = spread + 0.3 * offset
    return colourfulness


def _entropy(lumas: Floats) -> npt.NDArray[np.float64]:
    levels = np.rint(lumas * (_LEVELS - 1)).astype(np.int64).reshape(len(lumas), -1)
    # One histogram for the whole batch: each image counts in a range of its own.
    levels += np.arange(len(lumas))[:, None] * _LEVELS
    counts = np.bincount(levels.ravel(), minlength=len(lumas) * _LEVELS)
    share = counts.reshape(len(lumas), _LEVELS) / levels.shape[1]
    logs = np.log2(share, out=np.zeros_like(share), where=share > 0)
    entropy: npt.NDArray[np.float64] = np.abs((share * logs).sum(axis=1))
    return entropy
