"""Makes small pictures as `data:` URIs, so that the page needs no other file."""

from __future__ import annotations

import base64
import io
import warnings

import numpy as np
import numpy.typing as npt
from PIL import Image

from components.report.page import Picture

NOTHING = Picture("", 0, 0)
_QUALITY = 82


def thumbnail(encoded: bytes, side: int) -> Picture:
    """Scales an encoded image down; returns `NOTHING` if it cannot be decoded.

    Args:
        encoded: JPEG, PNG, GIF or BMP bytes; for a quarantined image any bytes.
        side: largest allowed width and height, in pixels.
    """
    try:
        # A decompression bomb counts as damaged.
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(encoded)) as opened:
                opened.draft("RGB", (2 * side, 2 * side))
                image = opened.convert("RGB")
    except Exception:  # decoders raise errors of many kinds on broken bytes
        return NOTHING
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    return _picture(image)


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
