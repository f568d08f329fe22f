"""A picture is seen as a viewer turns it, whichever way round its file stores it."""

from __future__ import annotations

import functools
import io
import struct
import zlib

import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from trainer import images, orientation

Pixels = npt.NDArray[np.uint8]
_NAME = b"Exif\0\0"


@functools.cache
def _graph() -> tf.types.experimental.GenericFunction:
    return tf.function(orientation.of, input_signature=[tf.TensorSpec([], tf.string)])


@functools.cache
def _decoder() -> tf.types.experimental.GenericFunction:
    return tf.function(images.decode, input_signature=[tf.TensorSpec([], tf.string)])


def _found(encoded: bytes) -> int:
    return int(_graph()(tf.constant(encoded)))


def exif(value: int, order: str = "<", kind: int = 3, count: int = 1, before: int = 1) -> bytes:
    """A block of EXIF with `before` other entries, then the orientation."""
    mark = b"II" if order == "<" else b"MM"
    entries = b"".join(
        struct.pack(order + "HHII", 0x0100 + number, 4, 1, 7) for number in range(before)
    )
    number = struct.pack(order + ("HH" if kind == 3 else "I"), *([value, 0][: 3 - kind // 2]))
    entries += struct.pack(order + "HHI", 0x0112, kind, count) + number
    return mark + struct.pack(order + "HIH", 42, 8, before + 1) + entries + bytes(4)


def scene(width: int = 40, height: int = 24) -> Image.Image:
    """A picture that is different however it is turned, and smooth enough for JPEG."""
    rows, columns = np.mgrid[0:height, 0:width]
    pixels = np.stack([rows * 255 // height, columns * 255 // width, (rows * 0 + 90)], axis=-1)
    return Image.fromarray(pixels.astype(np.uint8))


def saved(kind: str, block: bytes | None = None, picture: Image.Image | None = None) -> bytes:
    buffer = io.BytesIO()
    options = {} if block is None else {"exif": _NAME + block}
    (picture or scene()).save(buffer, kind, quality=95, **options)
    return buffer.getvalue()


def segment(mark: int, content: bytes) -> bytes:
    return bytes([0xFF, mark]) + struct.pack(">H", len(content) + 2) + content


def chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def _upright(encoded: bytes) -> Pixels:
    with Image.open(io.BytesIO(encoded)) as opened:
        return np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("value", range(1, 9))
def test_every_orientation_is_turned_upright(value: int, kind: str, order: str) -> None:
    encoded = saved(kind, exif(value, order))
    upright = _upright(encoded)
    assert upright.shape == ((24, 40, 3) if value < 5 else (40, 24, 3))
    decoded = _decoder()(tf.constant(encoded)).numpy()
    assert decoded.shape == upright.shape
    assert np.abs(decoded.astype(int) - upright).max() <= (8 if kind == "JPEG" else 0)


@pytest.mark.parametrize("value", range(1, 9))
@pytest.mark.parametrize(("width", "height"), [(41, 24), (24, 41), (640, 401)])
def test_a_square_is_that_of_the_upright_picture(value: int, width: int, height: int) -> None:
    encoded = saved("PNG", exif(value), scene(width, height))
    ours = images.load(tf.constant([encoded]), 16, 0.8)[0]
    theirs = images.crop_and_resize(tf.constant(_upright(encoded)), 16, 0.8)
    np.testing.assert_allclose(ours, theirs, atol=0.01)


@pytest.mark.parametrize("value", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_random_part_is_one_of_the_upright_picture(value: int, kind: str) -> None:
    turned = saved(kind, exif(value), scene(96, 64))
    upright = saved(kind, None, Image.fromarray(_upright(turned)))
    for seed in range(5):
        parts = [
            images.load_random_part(tf.constant(one), 16, 0.2, tf.constant([seed, 1])).numpy()
            for one in (turned, upright)
        ]
        # A part of a shrunk picture starts at a whole pixel, up to two off.
        assert np.abs(parts[0] - parts[1]).mean() < 9


_JPEG = saved("JPEG")
_APP0 = _JPEG[2 : 4 + struct.unpack(">H", _JPEG[4:6])[0]]
_REST = _JPEG[2 + len(_APP0) :]
_EXIF = segment(0xE1, _NAME + exif(6))
_XMP = segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x tiff:Orientation='3'/> Exif\0\0 eXIf")
_SOS = _REST.index(b"\xff\xda")


@pytest.mark.parametrize(
    "parts",
    [
        [_EXIF, _REST],
        [_APP0, _EXIF, _REST],
        [_APP0, b"\xff\xff\xff" + _EXIF, _REST],
        [_XMP, _EXIF, _REST],
        [_EXIF, _XMP, _APP0, _REST],
        [segment(0xFE, b"note"), segment(0xED, bytes(3000)), _EXIF, _REST],
        [*[segment(0xE2, bytes([n]) * 60_000) for n in range(3)], _EXIF, _REST],
        [_REST[:_SOS], _EXIF, _REST[_SOS:]],
        [_EXIF, segment(0xE1, _NAME + exif(3)), _REST],
        [segment(0xE1, _NAME + exif(6, before=2000)), _REST],
    ],
)
def test_exif_counts_wherever_it_lies_before_the_pixels(parts: list[bytes]) -> None:
    encoded = b"\xff\xd8" + b"".join(parts)
    assert _found(encoded) == 6
    assert _upright(encoded).shape == (40, 24, 3)


@pytest.mark.parametrize(
    "parts",
    [
        [_APP0, _REST],
        [_XMP, _REST],
        [segment(0xFE, _EXIF), _REST],
        [segment(0xE2, _EXIF * 3), bytes(1), _EXIF, _REST],
        [_REST, _EXIF],
        [_REST[:_SOS], segment(0xDA, bytes(5)), _EXIF],
        [segment(0xE1, _NAME)],
        [segment(0xE1, b"Exif\0\1" + exif(6)), _REST],
    ],
)
def test_what_only_looks_like_exif_does_not_count(parts: list[bytes]) -> None:
    assert _found(b"\xff\xd8" + b"".join(parts)) == 1


_PNG = saved("PNG")
_START, _IDAT, _IEND = _PNG[:33], _PNG[33:-12], _PNG[-12:]


@pytest.mark.parametrize("noise", [0, 200_000])
def test_a_png_may_hold_exif_before_or_behind_its_pixels(noise: int) -> None:
    text, block = chunk(b"tEXt", b"note\0" + bytes(noise)), chunk(b"eXIf", exif(6))
    for parts in ([block, text, _IDAT], [text, block, _IDAT], [text, _IDAT, block]):
        assert _found(_START + b"".join(parts) + _IEND) == 6
    named = chunk(b"eXIf", _NAME + exif(6))
    assert _found(_START + named + _IDAT + _IEND) == 6
    fake = chunk(b"tEXt", b"note\0" + block)
    assert _found(_START + text + fake + _IDAT + fake + _IEND) == 1


@pytest.mark.parametrize(
    "block",
    [
        b"",
        b"II",
        b"II*\0",
        b"II*\0\x08\0\0\0",
        b"II*\0\xff\xff\xff\xff",
        b"II*\0\0\0\0\0" + exif(6)[8:],
        b"MM*\0" + exif(6)[4:],
        b"XX" + exif(6)[2:],
        exif(6)[:-8],
        exif(0),
        exif(9),
        exif(65535),
        exif(6, kind=4),
        exif(6, count=2),
    ],
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_odd_or_broken_exif_turns_nothing(block: bytes, kind: str) -> None:
    encoded = (
        b"\xff\xd8" + segment(0xE1, _NAME + block) + _REST
        if kind == "JPEG"
        else _START + chunk(b"eXIf", block) + _IDAT + _IEND
    )
    assert _found(encoded) == 1
    assert _decoder()(tf.constant(encoded)).shape == (24, 40, 3)


@settings(max_examples=200, deadline=None)
@given(
    encoded=st.sampled_from(
        [saved(kind, exif(6, order)) for kind in ("JPEG", "PNG") for order in "<>"]
    ),
    changes=st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=4),
    end=st.integers(0, 10**4),
)
def test_no_damage_makes_the_reading_fail(
    encoded: bytes, changes: list[tuple[int, int]], end: int
) -> None:
    damaged = bytearray(encoded)
    for position, value in changes:
        damaged[position % len(damaged)] = value
    assert 1 <= _found(bytes(damaged[: end % len(damaged) + 1])) <= 8
