"""Small pictures as `data:` URIs, so that the page needs no other file."""

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
    """Makes an encoded image small.

    Args:
        encoded: JPEG, PNG, GIF or BMP bytes; or anything, as what is in quarantine may be.
        side: pixels that its longer side has at most.
    """
    try:
        # What a page needs is small, so a decompression bomb is as unwelcome as any other damage.
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(encoded)) as opened:
                opened.draft("RGB", (2 * side, 2 * side))
                image = opened.convert("RGB")
    except Exception:  # what decoders raise of broken bytes has no end
        return NOTHING
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    return _picture(image)


def heat_map(matrix: npt.NDArray[np.float64]) -> Picture:
    """Draws a matrix of shares, a pixel for each, on a transparent ground.

    What lies on the diagonal is blue, the rest orange: told apart with any kind of colour vision.

    Args:
        matrix: float [classes, classes], each in [0, 1].
    """
    classes = len(matrix)
    pixels = np.zeros((classes, classes, 4), np.uint8)
    pixels[...] = (213, 94, 0, 0)
    pixels[np.arange(classes), np.arange(classes), :3] = (0, 114, 178)
    # The root lets a few mix-ups among many images be seen.
    pixels[..., 3] = np.rint(255 * np.sqrt(np.clip(matrix, 0, 1)))
    return _picture(Image.fromarray(pixels))


def _picture(image: Image.Image) -> Picture:
    small = max(image.size) <= 64 or image.mode == "RGBA"
    kind = "PNG" if small else "JPEG"
    buffer = io.BytesIO()
    image.save(buffer, kind, optimize=True, quality=_QUALITY)
    text = base64.b64encode(buffer.getvalue()).decode()
    return Picture(f"data:image/{kind.lower()};base64,{text}", *image.size)
