"""What ingest tells of classes that are too small, and of photographs that are too large."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.data.ingest import photos, span_writer, transcode
from pipeline.data.ingest.photos import Photos
from retrain.__main__ import main
from tests.conftest import Picture, _picture


def test_classes_with_too_few_test_images_are_told() -> None:
    train = {"a": 90, "b": 90, "c": 90}
    val = {"a": 9, "b": 9, "c": 9}
    (told,) = span_writer.too_few({"train": train, "val": val, "test": {"a": 5, "b": 4}}, "abc")
    assert "b (4), c (0)" in told
    assert "a (" not in told
    enough = {"a": 5, "b": 5, "c": 5}
    assert not span_writer.too_few({"train": train, "val": val, "test": enough}, "abc")


@pytest.mark.parametrize(
    "counts",
    [
        {"": {"a": 3, "b": 2, "c": 1}},
        {"train": {"a": 3, "b": 2, "c": 1}, "test": {"a": 5, "b": 5, "c": 5}},
    ],
)
def test_classes_that_cannot_be_cut_are_told(counts: span_writer.Counts) -> None:
    (told,) = span_writer.too_few(counts, "abc")
    assert "b (2), c (1)" in told
    assert "a (" not in told


def test_many_names_are_shortened() -> None:
    (told,) = span_writer.too_few({"": {}}, [f"class {number}" for number in range(1000)])
    assert len(told) < 500


def test_the_command_tells_them_before_anything_is_trained(
    tmp_path: Path, picture: Picture, capsys: pytest.CaptureFixture[str]
) -> None:
    for split, label, count in (
        ("train", "a", 9),
        ("train", "b", 9),
        ("val", "a", 3),
        ("val", "b", 3),
        ("test", "a", 5),
        ("test", "b", 2),
    ):
        folder = tmp_path / "in" / split / label
        folder.mkdir(parents=True)
        for number in range(count):
            (folder / f"{number}.png").write_bytes(picture(seed=number))
    assert main(["ingest", str(tmp_path / "in"), "--output", str(tmp_path / "data")]) == 0
    told = capsys.readouterr().err
    assert "b (2)" in told
    assert "a (" not in told


def _sums(*images: transcode.Prepared) -> Photos:
    sums = Photos()
    for image in images:
        sums = photos.seen(sums, image)
    return sums


def _photograph(side: int, seed: int) -> transcode.Prepared:
    smooth = np.asarray(Image.open(io.BytesIO(_picture(side, side, seed=seed))))
    noise = np.random.default_rng(seed).integers(0, 30, smooth.shape, dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(smooth // 2 + noise).save(buffer, "JPEG", quality=90)
    return transcode.prepare(buffer.getvalue(), None)


def test_what_shrinking_would_save_is_measured() -> None:
    images = [_photograph(2400, seed) for seed in range(3)]
    sums = _sums(*images)
    after = sum(len(transcode.prepare(image.encoded, photos.SIDE).encoded) for image in images)
    estimate = sums.photo_size * sums.shrunk / sums.sampled
    assert sums.size == sums.photo_size == sum(len(image.encoded) for image in images)
    assert abs(estimate - after) < 0.1 * after
    assert f"--max-side {photos.SIDE}" in photos.advice(sums)
    assert "5.8 megapixels" in photos.advice(sums)


def test_nothing_is_said_where_little_is_saved() -> None:
    large = Photos(
        size=10**9, count=100, pixels=12 * 10**8, photo_size=9 * 10**8, sampled=10**7, shrunk=10**6
    )
    assert photos.advice(large)
    assert "190.0 MB instead of 1.0 GB" in photos.advice(large)
    assert not photos.advice(Photos())
    small = Photos(10**9, 100, 3 * 10**8, 10**9, 10**7, 10**6)
    assert not photos.advice(small)
    # Most bytes are in other files.
    assert not photos.advice(large + Photos(size=10**10))
    no_photos = _sums(transcode.Prepared(b"x" * 1000, "png", 5000, 5000))
    assert not photos.advice(no_photos)


def test_sums_of_parts_are_the_sum(picture: Picture) -> None:
    images = [transcode.prepare(picture(kind="JPEG", seed=seed), None) for seed in range(5)]
    together = _sums(*images[:2]) + _sums(*images[2:])
    alone = _sums(*images)
    assert (together.size, together.count, together.pixels) == (
        alone.size,
        alone.count,
        alone.pixels,
    )
