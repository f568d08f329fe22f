"""Image files as they come from broken disks and downloads."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator

from PIL import Image

from tests.conftest import Picture

KINDS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF")
_FLIPS = 40
ENDS = (b"\0", bytes(100), b"\r\n", b";", b"\xff\xd9", b"\xff", b"text" * 100)


def whole(picture: Picture, kind: str) -> list[bytes]:
    """Returns sound files of a format, in its usual modes."""
    files = [picture(kind=kind), picture(kind=kind, mode="L")]
    if kind == "PNG":
        files += [picture(mode=mode) for mode in ("1", "P", "LA", "RGBA")]
    if kind in ("PNG", "GIF", "WEBP"):
        frames = [Image.open(io.BytesIO(picture(seed=seed))) for seed in range(3)]
        buffer = io.BytesIO()
        frames[0].save(buffer, kind, save_all=True, append_images=frames[1:])
        files.append(buffer.getvalue())
    if kind == "JPEG":
        files += [picture(kind=kind, mode="CMYK"), picture(kind=kind, progressive=True)]
    return files


def damaged(encoded: bytes, rng: random.Random) -> Iterator[bytes]:
    """Yields a file as it is, cut, with bytes behind it, and with bytes changed: 69 files."""
    yield encoded
    yield from (encoded[: len(encoded) * sixteenth // 16] for sixteenth in range(1, 16))
    yield from (encoded[:-missing] for missing in (1, 2, 4, 8, 12, 13))
    yield from (encoded + end for end in (*ENDS, encoded))
    for _ in range(_FLIPS):
        changed = bytearray(encoded)
        for _ in range(rng.randint(1, 3)):
            # Half of them near the start, where headers are.
            end = len(changed) if rng.random() < 0.5 else min(len(changed), 120)
            changed[rng.randrange(end)] = rng.randrange(256)
        yield bytes(changed)
