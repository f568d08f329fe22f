"""TensorFlow decodes what was prepared to what a viewer shows of the file."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pillow_heif
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from pipeline.data.ingest import transcode
from tests.conftest import Picture, _picture
from trainer import images


def _shown(encoded: bytes) -> np.ndarray:
    return images.decode(tf.constant(encoded)).numpy().astype(int)


def _saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        *[("PNG", mode) for mode in ("1", "L", "LA", "P", "RGB", "RGBA")],
        *[("JPEG", mode) for mode in ("L", "RGB", "CMYK")],
        *[("GIF", mode) for mode in ("L", "P")],
        *[("BMP", mode) for mode in ("1", "L", "P", "RGB", "RGBA")],
        *[("TIFF", mode) for mode in ("1", "L", "P", "RGB", "RGBA", "CMYK")],
        *[("WEBP", mode) for mode in ("RGB", "RGBA")],
    ],
)
def test_every_kind_is_seen_as_pillow_sees_it(picture: Picture, kind: str, mode: str) -> None:
    encoded = picture(24, 16, kind=kind, mode=mode)
    with Image.open(io.BytesIO(encoded)) as opened:
        # As TensorFlow does, transparency is dropped and not painted over.
        expected = np.asarray(opened.convert("RGB")).astype(int)
    prepared = transcode.prepare(encoded, None)
    assert (prepared.height, prepared.width) == (16, 24)
    tolerance = 32 if kind in ("JPEG", "WEBP") else 1
    assert np.abs(_shown(prepared.encoded) - expected).max() <= tolerance


@pytest.mark.parametrize(("kind", "mode"), [("PNG", "RGB"), ("JPEG", "L"), ("GIF", "P")])
def test_what_is_fit_stays_byte_for_byte(picture: Picture, kind: str, mode: str) -> None:
    encoded = picture(kind=kind, mode=mode)
    assert transcode.prepare(encoded, None) == (encoded, kind.lower(), 30, 40)
    assert transcode.prepare(encoded, 40).encoded == encoded


def test_sixteen_bits_become_eight() -> None:
    pixels = np.random.default_rng(0).integers(0, 2**16, (16, 24), dtype=np.uint16)
    prepared = transcode.prepare(_saved(Image.fromarray(pixels), "PNG"), None)
    assert (_shown(prepared.encoded) == (pixels >> 8)[..., None]).all()


def test_heic_is_read_where_the_plug_in_is(picture: Picture) -> None:
    scene = Image.open(io.BytesIO(picture(64, 48)))
    buffer = io.BytesIO()
    pillow_heif.from_pillow(scene).save(buffer, quality=95)
    prepared = transcode.prepare(buffer.getvalue(), None)
    assert (prepared.kind, prepared.height, prepared.width) == ("jpeg", 48, 64)
    assert np.abs(_shown(prepared.encoded) - np.asarray(scene)).mean() < 8


@pytest.mark.parametrize("orientation", range(2, 9))
def test_photographs_are_turned_as_exif_asks(picture: Picture, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    encoded = picture(40, 30, kind="JPEG", quality=95, exif=exif)
    with Image.open(io.BytesIO(encoded)) as opened:
        upright = ImageOps.exif_transpose(opened)
    prepared = transcode.prepare(encoded, None)
    assert (prepared.width, prepared.height) == upright.size
    assert np.abs(_shown(prepared.encoded) - np.asarray(upright)).max() <= 16
    assert transcode.prepare(prepared.encoded, None).encoded == prepared.encoded


def test_large_images_become_smaller_and_keep_their_shape(picture: Picture) -> None:
    prepared = transcode.prepare(picture(400, 300, kind="JPEG"), 100)
    assert (prepared.kind, prepared.width, prepared.height) == ("jpeg", 100, 75)
    assert _shown(prepared.encoded).shape == (75, 100, 3)


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def bomb(side: int = 30_000) -> bytes:
    """Returns a PNG of a megabyte or less whose header and rows announce side x side pixels."""
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((side // 8 + 1) * 100))
    chunks = _chunk(b"IHDR", header) + _chunk(b"IDAT", rows) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


@pytest.mark.parametrize("side", [10_001, 30_000])
def test_a_bomb_is_refused_by_its_header(side: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*_: object) -> None:
        raise AssertionError("its pixels were decoded")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", load)
    with pytest.raises(transcode.RejectedError, match="allowed"):
        transcode.prepare(bomb(side), None)


_WITH_EXIF = ("PNG", "JPEG", "WEBP")
_EXIF = b"Exif\0\0"


@pytest.mark.parametrize("kind", _WITH_EXIF)
@pytest.mark.parametrize("exif", [b"II*\0", b"MM\0*\0\0\0", b"II*\0\x08\0\0\0\1\0\x12\1"])
def test_where_exif_cannot_be_read_nothing_is_turned(
    picture: Picture, kind: str, exif: bytes
) -> None:
    # Without a resolution of its own, a JPEG has its EXIF read when it is opened.
    odd = picture(kind=kind, exif=_EXIF + exif, dpi=(72, 72))
    assert exif in odd
    prepared = transcode.prepare(odd, None)
    plain = transcode.prepare(picture(kind=kind), None)
    assert (_shown(prepared.encoded) == _shown(plain.encoded)).all()


def test_a_turn_does_not_need_the_rest_of_exif(picture: Picture) -> None:
    # A number too large for its tag, which Pillow reads and cannot write.
    entries = struct.pack("<HHII", 0x0103, 4, 1, 70_000) + struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0)
    exif = b"II*\0" + struct.pack("<IH", 8, 2) + entries + bytes(4)
    prepared = transcode.prepare(picture(40, 30, kind="JPEG", exif=_EXIF + exif), None)
    assert (prepared.width, prepared.height) == (30, 40)


def test_what_pillow_stumbles_over_is_rejected(picture: Picture) -> None:
    for odd in (picture()[:60], picture(kind="JPEG")[:-300]):
        with pytest.raises(transcode.RejectedError, match=r"not a readable image: ."):
            transcode.prepare(odd, None)


def test_a_format_that_does_not_come_in_is_not_opened() -> None:
    postscript = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"
    fits = b"".join(
        card.ljust(80)
        for card in (
            b"SIMPLE  =                    T",
            b"BITPIX  =                    8",
            b"NAXIS   =                    2",
            b"NAXIS1  =                30000",
            b"NAXIS2  =                30000",
            b"END",
        )
    ).ljust(2880)
    dds = b"DDS " + struct.pack("<I", 124) + bytes(120)
    for odd in (postscript, fits, dds, b"<html>404</html>", b""):
        with pytest.raises(transcode.RejectedError, match="known format"):
            transcode.prepare(odd, None)


def test_notes_in_a_png_do_not_matter(picture: Picture) -> None:
    png = picture()
    texts = [
        _chunk(b"iTXt", b"note\0\1\0\0\0" + zlib.compress(b"a" * 3_000_000)),
        _chunk(b"iCCP", b"profile\0\0" + zlib.compress(bytes(2_500_000))),
        _chunk(b"tEXt", b"note\0" + b"a" * 2_000_000),
        _chunk(b"gAMA", b"\0"),
    ]
    for text in texts:
        noted = png[:33] + text + png[33:]
        assert transcode.prepare(noted, None).encoded == noted
        assert (_shown(noted) == _shown(png)).all()


_KINDS = st.sampled_from(["PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF"])
_EXIFS = st.builds(
    lambda start, rest: _EXIF + start + rest,
    st.sampled_from([b"", b"II*\0", b"MM\0*"]),
    st.binary(max_size=40),
)
_FILES = st.one_of(
    st.builds(_picture, st.integers(1, 40), st.integers(1, 40), kind=_KINDS),
    st.builds(_picture, kind=st.sampled_from(_WITH_EXIF), exif=_EXIFS, dpi=st.just((72, 72))),
)


@settings(max_examples=150, deadline=None)
@given(
    _FILES,
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=4),
    st.one_of(st.just(-1), st.integers(0, 10**6)),  # -1 is the whole file
)
def test_a_damaged_file_is_rejected_or_decodes(
    encoded: bytes, changes: list[tuple[int, int]], end: int
) -> None:
    damaged = bytearray(encoded)
    for position, value in changes:
        damaged[position % len(damaged)] = value
    try:
        prepared = transcode.prepare(bytes(damaged[: end % len(damaged) + 1]), 64)
    except transcode.RejectedError as error:
        assert str(error)
        return
    assert prepared.kind in ("jpeg", "png", "gif")
    assert max(prepared.height, prepared.width) <= 64
