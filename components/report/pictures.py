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
    """Shrinks an encoded image.

    Args:
        encoded: JPEG, PNG, GIF or BMP bytes; those of a quarantined image may be anything.
        side: most pixels of the longer side.
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
    """Draws each share of a matrix as a pixel on a transparent ground.

    The diagonal is blue and the rest orange, because every kind of colour vision tells these apart.

    Args:
        matrix: float [classes, classes], each in [0, 1].
    """
    classes = len(matrix)
    pixels = np.zeros((classes, classes, 4), np.uint8)
    pixels[...] = (213, 94, 0, 0)
    pixels[np.arange(classes), np.arange(classes), :3] = (0, 114, 178)
    # The root makes a few mix-ups among many images visible.
    pixels[..., 3] = np.rint(255 * np.sqrt(np.clip(matrix, 0, 1)))
    return _picture(Image.fromarray(pixels))


def _picture(image: Image.Image) -> Picture:
    small = max(image.size) <= 64 or image.mode == "RGBA"
    kind = "PNG" if small else "JPEG"
    buffer = io.BytesIO()
    image.save(buffer, kind, optimize=True, quality=_QUALITY)
    text = base64.b64encode(buffer.getvalue()).decode()
    return Picture(f"data:image/{kind.lower()};base64,{text}", *image.size)
