"""Ingest and model see every mode of every format that Pillow writes as a viewer does."""

from __future__ import annotations

import functools
import io
import struct
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf
from PIL import Image, ImageCms, ImageOps

from components import image_file
from pipeline.data.ingest import transcode
from tests.trainer.test_orientation import chunk
from trainer import images

Image.init()
Pixels = npt.NDArray[np.int64]
_LOSSY = ("JPEG", "MPO", "WEBP", "JPEG2000", "HEIF", "AVIF")
# How a refusal starts: with a sentence of ours, or with that of TensorFlow.
_REFUSALS = ("assertion failed: [a BMP", "assertion failed: [a CMYK", "Unknown image file format")


@functools.cache
def _decoder() -> tf.types.experimental.GenericFunction:
    return tf.function(images.decode, input_signature=[tf.TensorSpec([], tf.string)])


def _seen(encoded: bytes) -> Pixels:
    decoded: Pixels = _decoder()(tf.constant(encoded)).numpy().astype(np.int64)
    return decoded


def _scene() -> Image.Image:
    """Smooth colours, wider than high, so that lossy formats keep them."""
    rows, columns = np.mgrid[0:24, 0:40]
    pixels = np.stack([rows * 10, columns * 6, 200 - rows * 4, 255 - columns], axis=-1)
    return Image.fromarray(pixels.astype(np.uint8), "RGBA")


def _in_mode(mode: str) -> Image.Image:
    scene = _scene()
    grey, colour = scene.convert("L"), scene.convert("RGB")
    if mode == "I;16":
        return Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    if mode == "I":
        return grey.convert("I").point(lambda value: value * 257)
    if mode == "LAB":
        profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        return ImageCms.profileToProfile(colour, *profiles, outputMode="LAB")
    if mode in ("1", "L", "LA", "F"):
        return grey.convert(mode)
    return (scene if mode in ("P", "PA", "RGBA", "RGBX") else colour).convert(mode)


_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB", "HSV")
_DEEP = ("I", "I;16", "F")


def _written() -> Iterator[tuple[str, str]]:
    for kind in sorted(Image.SAVE):
        for mode in (*_MODES, *_DEEP):
            try:
                _in_mode(mode).save(io.BytesIO(), kind)
            except Exception:  # Pillow does not write this mode, or lacks what the format needs
                continue
            yield kind, mode


def _expected(encoded: bytes) -> Pixels:
    with Image.open(io.BytesIO(encoded)) as opened:
        upright = ImageOps.exif_transpose(opened)
        if upright.mode.startswith("I"):
            upright = Image.fromarray((np.asarray(upright) >> 8).astype(np.uint8))
        return np.asarray(upright.convert("RGB")).astype(np.int64)


@pytest.mark.parametrize(("kind", "mode"), list(_written()))
def test_a_file_is_seen_as_it_is_or_refused(kind: str, mode: str) -> None:
    buffer = io.BytesIO()
    _in_mode(mode).save(buffer, kind)
    encoded = buffer.getvalue()
    tolerance = 12 if kind in _LOSSY else 1

    try:
        prepared = transcode.prepare(encoded, None)
    except transcode.RejectedError:
        comes_in = kind in (*image_file.FORMATS, "MPO") and mode != "F"
        assert not comes_in or (kind, mode) in _NOT_READ
    else:
        difference = np.abs(_seen(prepared.encoded) - _expected(encoded))
        assert np.percentile(difference, 99) <= tolerance

    try:
        seen = _seen(encoded)
    except tf.errors.InvalidArgumentError as error:
        message = error.message.split("}} ")[-1]
        assert any(sentence in message for sentence in _REFUSALS), message
    else:
        assert np.percentile(np.abs(seen - _expected(encoded)), 99) <= tolerance


# What Pillow writes and does not read again.
_NOT_READ = {("TIFF", "YCbCr")}


def _bitmap(
    bits: int, compression: int, pixels: bytes, palette: bytes = b"", height: int = 2
) -> bytes:
    start = 54 + len(palette)
    header = struct.pack(
        "<IiiHHIIiiII", 40, 4, height, 1, bits, compression, len(pixels), 0, 0, 0, 0
    )
    return (
        b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start) + header + palette + pixels
    )


_GREYS = b"".join(bytes([n, 255 - n, n // 2, 0]) for n in range(256))


@pytest.mark.parametrize(
    "encoded",
    [
        _bitmap(8, 0, bytes(range(8)), _GREYS),
        _bitmap(8, 0, bytes(range(8)), _GREYS, height=-2),
        _bitmap(24, 0, bytes(range(24)), bytes(12)),
        _bitmap(24, 0, bytes(range(24)), bytes(12), height=-2),
        _bitmap(32, 0, bytes(range(32)), bytes(12)),
        _bitmap(32, 3, bytes(range(32)), bytes.fromhex("0000ff0000ff0000ff000000")),
    ],
)
def test_plain_bitmaps_are_read(encoded: bytes) -> None:
    assert (_seen(encoded) == _expected(encoded)).all()


@pytest.mark.parametrize(
    "encoded",
    [
        _bitmap(1, 0, bytes(8), bytes(8)),
        _bitmap(4, 0, bytes(8), bytes(64)),
        _bitmap(16, 0, bytes(16), bytes(12)),
        _bitmap(8, 1, bytes([4, 1, 0, 0, 4, 2, 0, 0, 0, 1]), _GREYS),
        _bitmap(4, 2, bytes([4, 1, 0, 0, 4, 2, 0, 0, 0, 1]), bytes(64)),
        _bitmap(32, 3, bytes(range(32)), bytes.fromhex("000000ff0000ff0000ff0000")),
        b"BM"
        + struct.pack("<IHHI", 70, 0, 0, 26)
        + struct.pack("<IHHHH", 12, 4, 2, 1, 24)
        + bytes(60),
        _bitmap(24, 0, bytes(range(24)))[:40],
    ],
)
def test_other_bitmaps_are_refused_in_words(encoded: bytes) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match="a BMP"):
        _seen(encoded)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_a_palette_png_of_few_bits_with_transparency_is_read(bits: int) -> None:
    picture = _scene().convert("RGB").quantize(2**bits)
    for transparency in ({}, {"transparency": 1}, {"transparency": bytes([0, 128])}):
        buffer = io.BytesIO()
        picture.save(buffer, "PNG", bits=bits, **transparency)
        encoded = buffer.getvalue()
        assert transcode.prepare(encoded, None).encoded == encoded
        assert (_seen(encoded) == np.asarray(picture.convert("RGB"))).all()


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_png_with_one_transparent_colour_is_read(mode: str) -> None:
    picture, buffer = _scene().convert(mode), io.BytesIO()
    picture.save(buffer, "PNG", transparency=5 if mode == "L" else (0, 0, 200))
    assert (_seen(buffer.getvalue()) == np.asarray(picture.convert("RGB"))).all()


def test_of_an_animated_png_the_first_picture_counts() -> None:
    first, buffer = _scene().convert("RGB"), io.BytesIO()
    first.save(buffer, "PNG", save_all=True, append_images=[ImageOps.invert(first)] * 2)
    for encoded in (buffer.getvalue(), transcode.prepare(buffer.getvalue(), None).encoded):
        assert (_seen(encoded) == np.asarray(first)).all()


def _gif(frames: int = 1) -> bytes:
    picture, buffer = _scene().convert("P"), io.BytesIO()
    others = [ImageOps.invert(_scene().convert("RGB")).convert("P")] * (frames - 1)
    picture.save(buffer, "GIF", save_all=True, append_images=others)
    return buffer.getvalue()


@pytest.mark.parametrize("end", [b"", b"\r\n", bytes(100), b";", b"<!-- note -->"])
@pytest.mark.parametrize("frames", [1, 3])
def test_what_follows_a_gif_does_not_matter(end: bytes, frames: int) -> None:
    encoded = _gif(frames) + end
    assert transcode.prepare(encoded, None).encoded == encoded
    assert (_seen(encoded) == _expected(_gif())).all()


@pytest.mark.parametrize("missing", [2, 20, 300])
def test_a_gif_that_breaks_off_is_refused(missing: int) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match="breaks off"):
        _seen(_gif()[:-missing])


def test_an_image_with_too_many_pixels_is_refused_by_its_header() -> None:
    side = struct.pack(">II", 20_000, 20_000)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", side + b"\x08\x02\0\0\0") + chunk(b"IDAT", b"")
    jpeg = io.BytesIO()
    _scene().convert("RGB").save(jpeg, "JPEG")
    frame = jpeg.getvalue().index(b"\xff\xc0") + 5
    large = bytearray(jpeg.getvalue())
    large[frame : frame + 4] = struct.pack(">HH", 20_000, 20_000)
    gif = bytearray(_gif())
    gif[6:10] = struct.pack("<HH", 20_000, 20_000)
    framed = bytearray(_gif())
    at = framed.index(b"\x2c" + bytes(4)) + 5
    framed[at : at + 4] = struct.pack("<HH", 20_000, 20_000)
    bmp = bytearray(_bitmap(24, 0, bytes(24), bytes(12)))
    bmp[18:26] = struct.pack("<ii", 20_000, -20_000)
    for encoded in (png, large, gif, framed, bmp):
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"too many pixels.*20000"):
            images.load(tf.constant([bytes(encoded)]), 8, 1.0)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP"])
def test_the_limit_of_pixels_is_the_given_one(kind: str) -> None:
    buffer = io.BytesIO()
    _scene().convert("RGB").save(buffer, kind)
    assert images.decode(tf.constant(buffer.getvalue()), 960).shape == (24, 40, 3)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"too many pixels.*959"):
        images.decode(tf.constant(buffer.getvalue()), 959)


@pytest.mark.parametrize(
    "encoded",
    [
        b"",
        b"no image",
        b"<html>404</html>",
        b"\x89PNG\r\n\x1a\n",
        b"GIF89a",
        b"BM",
        b"\xff\xd8\xff",
    ],
)
def test_what_is_no_image_is_refused(encoded: bytes) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError):
        _seen(encoded)
