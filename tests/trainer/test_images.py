"""Images of every kind that comes in are decoded alike, and cropped where Pillow would crop."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.conftest import Picture
from trainer import images


def _with_pillow(encoded: bytes) -> npt.NDArray[np.uint8]:
    with Image.open(io.BytesIO(encoded)) as picture:
        return np.asarray(picture.convert("RGB"))


def _positions(height: int, width: int) -> npt.NDArray[np.float32]:
    """An image whose red says the row of a pixel and whose green says its column."""
    rows, columns = np.mgrid[0:height, 0:width]
    return np.stack([rows, columns, np.zeros_like(rows)], axis=-1).astype(np.float32)


@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        ("PNG", "RGB"),
        ("PNG", "L"),
        ("PNG", "1"),
        ("PNG", "P"),
        ("BMP", "RGB"),
        ("BMP", "L"),
        ("GIF", "P"),
        ("GIF", "L"),
    ],
)
def test_lossless_formats_decode_to_the_pixels_that_pillow_sees(
    picture: Picture, kind: str, mode: str
) -> None:
    encoded = picture(37, 23, mode=mode, kind=kind)
    decoded = images.decode(tf.constant(encoded))
    assert decoded.dtype == tf.uint8
    np.testing.assert_array_equal(decoded.numpy(), _with_pillow(encoded))


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg_decodes_to_nearly_the_pixels_that_pillow_sees(
    picture: Picture, mode: str, progressive: bool
) -> None:
    encoded = picture(64, 48, mode=mode, kind="JPEG", quality=95, progressive=progressive)
    decoded = images.decode(tf.constant(encoded)).numpy().astype(int)
    difference = np.abs(decoded - _with_pillow(encoded))
    # Decoders may differ in how they round and how they scale colour up.
    assert difference.mean() < 2
    assert difference.max() < 16


@pytest.mark.parametrize("kind", ["PNG", "BMP"])
def test_alpha_is_dropped(kind: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (9, 7, 4), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels, "RGBA").save(buffer, kind)
    decoded = images.decode(tf.constant(buffer.getvalue())).numpy()
    np.testing.assert_array_equal(decoded, pixels[..., :3])


def test_grey_with_alpha_becomes_grey() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (9, 7, 2), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels, "LA").save(buffer, "PNG")
    decoded = images.decode(tf.constant(buffer.getvalue())).numpy()
    np.testing.assert_array_equal(decoded, np.repeat(pixels[..., :1], 3, axis=-1))


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bits_a_channel_keep_the_upper_eight(channels: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 2**16, (9, 7, channels), dtype=np.uint16)
    decoded = images.decode(tf.io.encode_png(pixels)).numpy()
    expected = np.broadcast_to(pixels[..., :3] >> 8, (9, 7, 3)).astype(int)
    assert np.abs(decoded.astype(int) - expected).max() <= 1


def test_of_an_animation_the_first_frame_counts() -> None:
    frames = [Image.new("RGB", (12, 10), colour) for colour in ("red", "lime", "blue")]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    decoded = images.decode(tf.constant(buffer.getvalue())).numpy()
    assert decoded.shape == (10, 12, 3)
    assert (decoded == (255, 0, 0)).all()


@pytest.mark.parametrize("encoded", [b"", b"no image", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_image_is_an_error(encoded: bytes) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError):
        images.decode(tf.constant(encoded))


def test_an_image_that_breaks_off_is_an_error(picture: Picture) -> None:
    encoded = picture(200, 200)
    with pytest.raises(tf.errors.InvalidArgumentError):
        images.decode(tf.constant(encoded[: len(encoded) // 2]))


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 45),
    width=st.integers(1, 45),
    size=st.integers(1, 40),
    crop=st.floats(0.01, 1.0),
    seed=st.integers(0, 99),
)
def test_any_size_and_crop_give_a_square_within_the_range(
    height: int, width: int, size: int, crop: float, seed: int
) -> None:
    # Pure black and white, so that bicubic interpolation overshoots.
    pixels = 255 * np.random.default_rng(seed).integers(0, 2, (height, width, 3), dtype=np.uint8)
    square = images.crop_and_resize(tf.constant(pixels), size, crop)
    assert square.shape == (size, size, 3)
    assert square.dtype == tf.float32
    assert np.isfinite(square).all()
    assert np.min(square) >= 0
    assert np.max(square) <= 255


def test_a_single_pixel_fills_the_square() -> None:
    pixel = tf.constant([[[10, 200, 30]]], tf.uint8)
    square = images.crop_and_resize(pixel, 8, 0.1).numpy()
    np.testing.assert_allclose(square, np.broadcast_to([10.0, 200.0, 30.0], (8, 8, 3)), atol=1e-3)


@pytest.mark.parametrize(("height", "width"), [(40, 90), (90, 40), (40, 41), (7, 300)])
def test_all_that_lies_outside_the_central_square_is_cut_off(height: int, width: int) -> None:
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    pixels = np.full((height, width, 3), 255, np.uint8)
    pixels[top : top + side, left : left + side] = 80
    square = images.crop_and_resize(tf.constant(pixels), 32, 1.0)
    np.testing.assert_allclose(square, 80, atol=1e-3)


def test_crop_keeps_its_share_of_the_shorter_side() -> None:
    pixels = np.full((100, 160, 3), 255, np.uint8)
    pixels[25:75, 55:105] = 80
    np.testing.assert_allclose(images.crop_and_resize(tf.constant(pixels), 50, 0.5), 80, atol=1e-3)
    larger = images.crop_and_resize(tf.constant(pixels), 52, 0.52).numpy()
    assert (larger[[0, -1]] == 255).all()
    assert (larger[:, [0, -1]] == 255).all()


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(3, 120),
    width=st.integers(3, 120),
    size=st.integers(8, 96),
    crop=st.sampled_from([0.5, 0.875, 0.9, 1.0]),
)
def test_every_pixel_comes_from_where_pillow_takes_it(
    height: int, width: int, size: int, crop: float
) -> None:
    pixels = _positions(height, width)
    side = max(round(min(height, width) * crop), 1)
    top, left = (height - side) // 2, (width - side) // 2
    box = (left, top, left + side, top + side)

    square = images.crop_and_resize(tf.constant(pixels), size, crop).numpy()

    for channel in (0, 1):
        reference = Image.fromarray(pixels[..., channel]).crop(box)
        nearest = np.asarray(reference.resize((size, size), Image.Resampling.NEAREST))
        # Nearest is half a pixel off at most, and at the border bicubic leans inward.
        assert np.abs(square[..., channel] - nearest).max() <= 0.76


def test_enlarging_agrees_with_pillows_bicubic(picture: Picture) -> None:
    # Only enlarging: when Pillow makes an image smaller, it also smoothes it.
    pixels = _with_pillow(picture(20, 20))
    enlarged = images.crop_and_resize(tf.constant(pixels), 60, 1.0).numpy()
    reference: npt.NDArray[Any] = np.asarray(
        Image.fromarray(pixels).resize((60, 60), Image.Resampling.BICUBIC)
    )
    inner = np.s_[6:-6, 6:-6]
    assert np.abs(enlarged - reference)[inner].max() < 1.5


def test_a_batch_may_mix_sizes_and_kinds_and_has_the_images_in_order(
    pictures: dict[str, bytes],
) -> None:
    encoded = list(pictures.values())
    batch = images.load(tf.constant(encoded), 16, 0.8).numpy()
    assert batch.shape == (len(encoded), 16, 16, 3)
    for row, one in zip(batch, encoded, strict=True):
        alone = images.crop_and_resize(images.decode(tf.constant(one)), 16, 0.8)
        np.testing.assert_array_equal(row, alone)


def test_an_empty_batch_stays_empty() -> None:
    assert images.load(tf.constant([], tf.string), 16, 1.0).shape == (0, 16, 16, 3)
