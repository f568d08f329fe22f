"""Opens image files with Pillow, only of the formats that come in.

Pillow knows some 40 formats. For one of them it starts Ghostscript, for others it allocates what a
few bytes ask for, and which one it takes depends on the content, not on the name.
"""

import contextlib
import functools
import importlib
import io
import struct
import warnings
from collections.abc import Iterator

from PIL import Image

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "HEIF", "AVIF", "JPEG2000", "ICO", "PPM")
"""By Pillow's names. HEIF needs the package pillow-heif, AVIF a Pillow that reads it."""
_PNG = b"\x89PNG\r\n\x1a\n"
# The chunks of a PNG that decide what its picture looks like here.
_CHUNKS = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"eXIf", b"IEND"})


def opened(encoded: bytes) -> Image.Image:
    """Opens the bytes of an image file, by their content. It reads no pixels.

    Raises:
        PIL.UnidentifiedImageError: the bytes are of no known format.
        PIL.Image.DecompressionBombError: the image has more than twice Pillow's limit of pixels.
        Exception: the header is damaged; Pillow's plug-ins raise anything.
    """
    with warnings.catch_warnings():
        # Callers have limits of their own.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        return Image.open(io.BytesIO(without_notes(encoded)), formats=_known())


def is_image(encoded: bytes) -> bool:
    """Returns whether the bytes begin as an image file of a known format does."""
    try:
        opened(encoded)
    except Exception:  # no image, or a damaged header; Pillow's plug-ins raise anything
        return False
    return True


def without_notes(encoded: bytes) -> bytes:
    """Returns a PNG without texts, profiles and other notes; any other file as it is.

    Pillow refuses a PNG whose notes are large or damaged, though they do not matter.
    """
    if not encoded.startswith(_PNG):
        return encoded
    return _PNG + b"".join(piece for kind, piece in _chunks(encoded) if kind in _CHUNKS)


def _chunks(encoded: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = len(_PNG)
    while position < len(encoded):
        head = encoded[position : position + 8]
        size = struct.unpack(">I", head[:4])[0] if len(head) == 8 else 0
        yield head[4:], encoded[position : position + 12 + size]
        position += 12 + size


@functools.cache
def _known() -> tuple[str, ...]:
    """Loads Pillow's plug-ins; returns those of `FORMATS` that this installation reads."""
    Image.init()
    if "HEIF" not in Image.OPEN:
        with contextlib.suppress(ImportError):
            importlib.import_module("pillow_heif").register_heif_opener()
    return tuple(name for name in FORMATS if name in Image.OPEN)
