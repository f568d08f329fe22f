"""Converts image files so that TensorFlow decodes what a viewer shows.

A file that needs no change stays the same, byte for byte.
"""

import contextlib
import importlib
import io
import warnings
from typing import NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError

# The formats and modes that TensorFlow decodes to the same pixels as Pillow.
_FIT = {
    "JPEG": {"L", "RGB"},
    "MPO": {"L", "RGB"},
    "PNG": {"L", "LA", "RGB", "RGBA"},
    "GIF": {"L", "P", "RGB", "RGBA"},
}
_LOSSY = frozenset({"JPEG", "MPO", "WEBP", "HEIF", "AVIF"})
# So high that a second compression is hard to see or measure.
_JPEG_QUALITY = 95
_ORIENTATION = 0x0112
# EXIF orientation -> how to turn the pixels; other values need no turn.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
MAX_PIXELS = 89_478_485
"""Pillow's own limit: a quarter of a gigabyte of pixels with three channels."""


class RejectedError(ValueError):
    """An image cannot be used; the message says why."""


class Prepared(NamedTuple):
    """An image file that TensorFlow decodes; its kind is "jpeg", "png" or "gif"."""

    encoded: bytes
    kind: str
    height: int
    width: int


def prepare(encoded: bytes, max_side: int | None) -> Prepared:
    """Converts an image file for TensorFlow.

    WebP, TIFF, BMP and all other formats that Pillow reads, CMYK JPEGs, 16-bit and palette PNGs are
    encoded again. EXIF's rotation is applied, and images over `max_side` are shrunk. A lossy file
    becomes a JPEG, any other a PNG. Of an animation only the first frame is kept.

    Args:
        encoded: the bytes of an image file.
        max_side: longest side in pixels; None for no limit.

    Raises:
        RejectedError: the file is no image, is damaged, or has more than `MAX_PIXELS` pixels, which
            are then not decoded.
    """
    _register_heif()
    try:
        with _opened(encoded) as picture:
            kind, mode, (width, height) = picture.format or "", picture.mode, picture.size
            if width * height > MAX_PIXELS:
                raise RejectedError(f"{width} x {height} pixels; allowed: {MAX_PIXELS}")
            picture.load()
            turn = _turn(picture)
            large = max_side is not None and max(width, height) > max_side
            if mode in _FIT.get(kind, ()) and turn is None and not large:
                name = "jpeg" if kind == "MPO" else kind.lower()
                return Prepared(encoded, name, height, width)
            return _encoded_anew(picture, turn, max_side if large else None)
    except Image.DecompressionBombError as error:
        raise RejectedError(f"too many pixels; allowed: {MAX_PIXELS}") from error
    except UnidentifiedImageError as error:
        raise RejectedError("no image of a known format") from error
    except (RejectedError, MemoryError):  # MemoryError says nothing about the file
        raise
    # Damaged files make Pillow's plug-ins raise anything.
    except Exception as error:
        raise RejectedError(f"not a readable image: {_one_line(error)}") from error


def _opened(encoded: bytes) -> Image.Image:
    with warnings.catch_warnings():
        # Pillow warns above its limit and fails above twice the limit; here both are rejected.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        return Image.open(io.BytesIO(encoded))


def _turn(picture: Image.Image) -> Image.Transpose | None:
    """Returns the rotation that EXIF asks for; None for no rotation or unreadable EXIF."""
    try:
        return _TURNS.get(picture.getexif().get(_ORIENTATION, 1))
    except Exception:  # too few bytes, or a value of another type
        return None


def _encoded_anew(
    picture: Image.Image, turn: Image.Transpose | None, max_side: int | None
) -> Prepared:
    lossy = picture.format in _LOSSY
    upright = _eight_bits(picture.copy() if turn is None else picture.transpose(turn))
    if max_side is not None:
        upright.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    if lossy:
        # TensorFlow drops transparency, and so does this.
        upright.convert("RGB" if upright.mode != "L" else "L").save(
            buffer, "JPEG", quality=_JPEG_QUALITY
        )
    else:
        upright.save(buffer, "PNG")
    kind = "jpeg" if lossy else "png"
    return Prepared(buffer.getvalue(), kind, upright.height, upright.width)


def _eight_bits(picture: Image.Image) -> Image.Image:
    """Returns the picture with 8 bits a channel, in grey or colour, with or without alpha."""
    if picture.mode in ("L", "LA", "RGB", "RGBA"):
        return picture
    if picture.mode.startswith("I"):
        values = np.asarray(picture).astype(np.int64)
        # Pillow gives 16-bit files as 32-bit integers in some formats.
        return Image.fromarray(np.clip(values >> 8, 0, 255).astype(np.uint8))
    if picture.mode == "1":
        return picture.convert("L")
    if picture.mode == "F":
        raise RejectedError("pixels are floating-point numbers, whose range is not known")
    return picture.convert("RGBA" if "transparency" in picture.info else "RGB")


def _register_heif() -> None:
    """Lets Pillow read HEIC, if the plug-in is installed."""
    if "HEIF" not in Image.OPEN:
        with contextlib.suppress(ImportError):
            importlib.import_module("pillow_heif").register_heif_opener()


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
