"""Makes small pictures as `data:` URIs, so that the page needs no other file."""

from __future__ import annotations

import base64
import io
import warnings

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from components.report.gallery import Picture

NOTHING = Picture("", 0, 0)
_QUALITY = 82
# What the model looked at is tinted, everything else pale.
_HEAT, _STRENGTH = (236, 120, 20), 0.45
_PALE, _MIDDLE = 0.55, 128.0


def thumbnail(encoded: bytes, side: int) -> Picture:
    """Scales an encoded image down; returns `NOTHING` if it cannot be decoded.

    Args:
        encoded: JPEG, PNG, GIF or BMP bytes; for a quarantined image any bytes.
        side: largest allowed width and height, in pixels.
    """
    image = load(encoded, 2 * side)
    if image is None:
        return NOTHING
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    return _picture(image)


def load(encoded: bytes, side: int) -> Image.Image | None:
    """Decodes an image upright and scales it down to fit; None if it cannot be decoded.

    Args:
        encoded: see `thumbnail`.
        side: largest allowed width and height, in pixels.
    """
    try:
        # A decompression bomb counts as damaged.
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(encoded)) as opened:
                opened.draft("RGB", (side, side))
                image = (ImageOps.exif_transpose(opened) or opened).convert("RGB")
    except Exception:  # decoders raise errors of many kinds on broken bytes
        return None
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    return image


def looked_at(encoded: bytes, regions: npt.NDArray[np.float32], side: int) -> Picture:
    """Draws an image in grey, and in colour where the model looked.

    Args:
        encoded: see `thumbnail`.
        regions: float32 [rows, columns] in [0, 1]; see `attention.maps`.
        side: largest allowed width and height, in pixels.
    """
    image = load(encoded, side)
    if image is None:
        return NOTHING
    # A tiny image has too few pixels for smooth edges.
    larger = side / max(image.size)
    image = image.resize((round(image.width * larger), round(image.height * larger)))
    weights = Image.fromarray(np.rint(255 * regions).astype(np.uint8))
    smooth = weights.resize(image.size, Image.Resampling.BICUBIC)
    share = np.asarray(smooth, np.float32)[..., None] / 255
    colour = np.asarray(image, np.float32)
    grey = np.asarray(image.convert("L"), np.float32)[..., None]
    heat = np.array(_HEAT, np.float32)
    pale = _PALE * grey + (1 - _PALE) * _MIDDLE
    hot = (1 - _STRENGTH) * colour + _STRENGTH * heat
    mixed = (1 - share) * pale + share * hot
    return _picture(Image.fromarray(np.clip(mixed, 0, 255).astype(np.uint8)))


def heat_map(matrix: npt.NDArray[np.float64]) -> Picture:
    """Draws a confusion matrix with a pixel per cell, the more opaque the larger the share.

    The diagonal is blue and the rest orange, which any kind of colour vision can distinguish.

    Args:
        matrix: float [classes, classes], shares in [0, 1].
    """
    classes = len(matrix)
    pixels = np.zeros((classes, classes, 4), np.uint8)
    pixels[...] = (213, 94, 0, 0)
    pixels[np.arange(classes), np.arange(classes), :3] = (0, 114, 178)
    # The square root makes small shares visible.
    pixels[..., 3] = np.rint(255 * np.sqrt(np.clip(matrix, 0, 1)))
    return _picture(Image.fromarray(pixels))


def _picture(image: Image.Image) -> Picture:
    small = max(image.size) <= 64 or image.mode == "RGBA"
    kind = "PNG" if small else "JPEG"
    buffer = io.BytesIO()
    image.save(buffer, kind, optimize=True, quality=_QUALITY)
    text = base64.b64encode(buffer.getvalue()).decode()
    return Picture(f"data:image/{kind.lower()};base64,{text}", *image.size)
