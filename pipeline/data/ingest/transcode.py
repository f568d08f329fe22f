"""Converts image files so that TensorFlow decodes what a viewer shows.

A file that needs no change stays the same, byte for byte.
"""

import functools
import io
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError

from components import image_file
from trainer.features import MAX_PIXELS

# The formats and modes that TensorFlow decodes to the same pixels as Pillow.
_FIT = {
    "JPEG": {"L", "RGB"},
    "MPO": {"L", "RGB"},
    "PNG": {"1", "L", "LA", "P", "I;16", "RGB", "RGBA"},
    "GIF": {"L", "P", "RGB", "RGBA"},
}
_PNG_END = b"IEND\xaeB`\x82"  # Pillow does without it, TensorFlow does not
_LOSSY = frozenset({"JPEG", "MPO", "WEBP", "HEIF", "AVIF"})
# So high that a second compression is hard to see or measure.
_JPEG_QUALITY = 95
# EXIF orientation -> how to turn the pixels; 1 needs no turn.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SWAPPED = 5  # from this orientation on, the width of the upright picture is the stored height


class RejectedError(ValueError):
    """An image cannot be used; the message says why."""


class Prepared(NamedTuple):
    """An image file that TensorFlow decodes; its kind is "jpeg", "png" or "gif"."""

    encoded: bytes
    kind: str
    height: int
    width: int


def _sound(_: bytes) -> bool:
    return True


def prepare(
    encoded: bytes, max_side: int | None, reads: Callable[[bytes], bool] = _sound
) -> Prepared:
    """Converts an image file for TensorFlow.

    JPEG, PNG and GIF stay as they are, EXIF's rotation included, as the model turns them. WebP,
    TIFF, BMP and all other `image_file.FORMATS` are encoded again, and so are CMYK JPEGs that do
    not say how their inks are stored, and files with damage that costs no pixel. Images over
    `max_side` are shrunk. A lossy file becomes a JPEG, any other a PNG. Of an animation only the
    first frame is kept.

    Args:
        encoded: the bytes of an image file.
        max_side: longest side in pixels; None for no limit.
        reads: returns whether the model decodes a file whose format and mode it reads; what it does
            not decode is encoded anew. By default, all that are asked about.

    Returns:
        The file; height and width are those of the upright picture.

    Raises:
        RejectedError: the file is no image, is damaged, or has more than `MAX_PIXELS` pixels, which
            are then not decoded.
    """
    try:
        with image_file.opened(encoded) as picture:
            width, height = _stored_size(picture)
            if width * height > MAX_PIXELS:
                raise RejectedError(f"{width} x {height} pixels; allowed: {MAX_PIXELS}")
            large = max_side is not None and max(width, height) > max_side
            kept = not large and _is_fit(picture, encoded) and reads(encoded)
            if not kept:
                picture.load()
            turn = _orientation(picture, encoded)
            if not kept:
                return _encoded_anew(picture, _TURNS.get(turn), max_side if large else None)
            name = "jpeg" if picture.format == "MPO" else (picture.format or "").lower()
            height, width = (width, height) if turn >= _SWAPPED else (height, width)
            return Prepared(encoded, name, height, width)
    except Image.DecompressionBombError as error:
        raise RejectedError(f"too many pixels; allowed: {MAX_PIXELS}") from error
    except UnidentifiedImageError as error:
        raise RejectedError("no image of a known format") from error
    except (RejectedError, MemoryError):  # MemoryError says nothing about the file
        raise
    # Damaged files make Pillow's plug-ins raise anything.
    except Exception as error:
        raise RejectedError(f"not a readable image: {_one_line(error)}") from error


def _is_fit(picture: Image.Image, encoded: bytes) -> bool:
    """Returns whether TensorFlow decodes the opened file, if it is sound, to the same pixels."""
    kind, mode = picture.format or "", picture.mode
    if kind == "PNG" and _PNG_END not in encoded:
        return False
    inverted = kind in ("JPEG", "MPO") and mode == "CMYK" and "adobe" in picture.info
    return mode in _FIT.get(kind, ()) or inverted


def _stored_size(picture: Image.Image) -> tuple[int, int]:
    """Returns width and height of an opened picture, as the model decodes it."""
    tiles = getattr(picture, "tile", ())
    if picture.format != "GIF" or not tiles:
        return picture.size
    # Of a GIF's screen, it decodes only what the first frame covers.
    left, top, right, bottom = tiles[0][1]
    return right - left, bottom - top


def _orientation(picture: Image.Image, encoded: bytes) -> int:
    """Returns EXIF's orientation of a picture, as the model reads it."""
    # In a PNG it may follow the pixels, which need not be loaded.
    late = picture.format == "PNG" and b"eXIf" in encoded
    if not (late or picture.info.get("exif")) or picture.format == "TIFF":
        return 1  # Pillow turns a TIFF itself
    of_file, of_exif = _readers()
    if picture.format in _FIT:
        return int(of_file(encoded))
    return int(of_exif(picture.info["exif"]))


@functools.cache
def _readers() -> tuple[Callable[[bytes], Any], Callable[[bytes], Any]]:
    """Returns the model's functions that read the orientation of a file, and of a block of EXIF."""
    # Here, as TensorFlow takes seconds to load and few images need it.
    import tensorflow as tf

    from trainer import orientation

    text = [tf.TensorSpec([], tf.string)]
    of_file, of_exif = (
        tf.function(function, input_signature=text, autograph=False)
        for function in (orientation.of, orientation.of_exif)
    )
    return of_file, of_exif


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


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
