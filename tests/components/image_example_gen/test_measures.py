"""The numbers of an image are what their names say, for one image as for many."""

from __future__ import annotations

import numpy as np
import pytest

from components.image_example_gen import measures
from trainer import features


def _measure(pixels: np.ndarray) -> measures.Measures:
    batch = pixels[None].astype(np.uint8)
    (found,) = measures.measure(batch, measures.luma(batch), [7])
    return found


def test_names_are_those_that_the_config_knows() -> None:
    assert list(features.MEASURED) == [f"image/{name}" for name in measures.Measures._fields]


def test_a_constant_image() -> None:
    found = _measure(np.full((4, 8, 3), 51))
    assert (found.height, found.width, found.aspect, found.bytes) == (4, 8, 2.0, 7)
    assert found.brightness == pytest.approx(0.2, abs=1e-6)
    assert (found.contrast, found.sharpness, found.colourfulness, found.entropy) == pytest.approx(
        (0, 0, 0, 0), abs=1e-6
    )


def test_black_and_white_squares() -> None:
    squares = (np.indices((8, 8)).sum(axis=0) % 2)[..., None] * np.full(3, 255)
    found = _measure(squares)
    assert found.brightness == pytest.approx(0.5, abs=1e-6)
    assert found.contrast == pytest.approx(0.5, abs=1e-6)
    assert found.entropy == pytest.approx(1, abs=1e-6)
    # Every pixel differs from all four neighbours: the Laplacian is 4 or -4.
    assert found.sharpness == pytest.approx(16, abs=1e-4)
    assert found.colourfulness == pytest.approx(0, abs=1e-6)


def test_colour_counts_and_luma_weighs_channels() -> None:
    red = np.zeros((5, 5, 3))
    red[..., 0] = 255
    found = _measure(red)
    assert found.brightness == pytest.approx(0.299, abs=1e-6)
    assert found.colourfulness == pytest.approx(0.3 * np.hypot(1, 0.5), abs=1e-6)


def test_noise_fills_the_histogram() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (256, 256, 1)).repeat(3, axis=2)
    assert 7.9 < _measure(noise).entropy <= 8


def test_small_images_have_no_laplacian() -> None:
    assert _measure(np.eye(2)[..., None].repeat(3, axis=2) * 255).sharpness == 0


def test_a_batch_is_measured_as_each_alone() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (5, 9, 7, 3), dtype=np.uint8)
    together = measures.measure(pixels, measures.luma(pixels), [1, 2, 3, 4, 5])
    for one, image, size in zip(together, pixels, range(1, 6), strict=True):
        assert one == pytest.approx(_measure(image)._replace(bytes=size), rel=1e-5)


def test_of_large_images_fewer_pixels_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    # Twice as large each way, so that leaving out pixels gives the small one.
    small = np.random.default_rng(2).integers(0, 256, (20, 30, 3))
    expected = _measure(small)
    large = small.repeat(2, axis=0).repeat(2, axis=1)
    monkeypatch.setattr(measures, "_MOST_PIXELS", 20 * 30)
    assert _measure(small) == expected
    assert _measure(large) == pytest.approx(expected._replace(height=40, width=60))
    assert measures.luma(large[None].astype(np.uint8)).shape == (1, 20, 30)
