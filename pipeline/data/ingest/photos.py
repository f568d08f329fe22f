"""How large the photographs of a source are, and what `--max-side` would save."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from dataclasses import dataclass

from pipeline.data.ingest import transcode

SIDE = 1024
"""The longest side that is proposed; models see far fewer pixels."""
# A mean over this is worth a word. In pixels.
_LARGE = 4_000_000
# Above this share of the bytes, shrinking saves too little.
_WORTH = 0.7


@dataclass(frozen=True)
class Photos:
    """Sums over images that were written as they are.

    Attributes:
        size: bytes of all images.
        count: number of JPEGs.
        pixels: their pixels.
        photo_size: their bytes.
        sampled: bytes of some of them, which were also shrunk.
        shrunk: bytes of these after it.
    """

    size: int = 0
    count: int = 0
    pixels: int = 0
    photo_size: int = 0
    sampled: int = 0
    shrunk: int = 0

    def __add__(self, other: Photos) -> Photos:
        """Returns the sums over both."""
        pairs = zip(dataclasses.astuple(self), dataclasses.astuple(other), strict=True)
        return Photos(*(one + another for one, another in pairs))


def seen(before: Photos, image: transcode.Prepared) -> Photos:
    """Returns the sums with one more image; a few large ones are shrunk to see what it saves."""
    size = len(image.encoded)
    if image.kind != "jpeg":
        return before + Photos(size)
    count, pixels = before.count + 1, image.height * image.width
    sampled = shrunk = 0
    # The 1st, 4th, 9th, 16th, …: some of every part, and ever fewer of a large one.
    if math.isqrt(count) ** 2 == count:
        # Pillow may refuse damage that the model reads over.
        with contextlib.suppress(transcode.RejectedError):
            shrunk = min(size, len(transcode.prepare(image.encoded, SIDE).encoded))
            sampled = size
    return before + Photos(size, 1, pixels, size, sampled, shrunk)


def advice(photos: Photos) -> str:
    """Returns a sentence about what `--max-side` would save; "" if it is not worth it."""
    mean = photos.pixels / max(photos.count, 1)
    if mean <= _LARGE or not photos.sampled:
        return ""
    rest = photos.size - photos.photo_size
    size = rest + photos.photo_size * photos.shrunk / photos.sampled
    if size > _WORTH * photos.size:
        return ""
    return (
        f"photographs have {mean / 1e6:.1f} megapixels on average; --max-side {SIDE} would write"
        f" about {_bytes(size)} instead of {_bytes(photos.size)}, and each run decode faster"
    )


def _bytes(size: float) -> str:
    for unit, name in ((1e9, "GB"), (1e6, "MB")):
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{size / 1e3:.1f} kB"
