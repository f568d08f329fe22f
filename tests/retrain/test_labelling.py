"""Which files are labelled, how they are prepared, and what a broken one costs."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from pipeline.data.ingest import transcode
from retrain import labelling
from serving.client import BadImageError, Prediction
from tests.conftest import Picture


class Model:
    """Answers images with their sizes, refuses damaged ones, and remembers what it was sent."""

    def __init__(self) -> None:
        """Has been sent nothing yet."""
        self.sent: list[bytes] = []

    def __call__(self, contents: Sequence[bytes]) -> list[Prediction]:
        self.sent += contents
        try:
            for each in contents:
                _opened(each).load()
        except OSError as error:
            raise BadImageError("the model's reason") from error
        return [Prediction("", "x".join(map(str, _opened(each).size))) for each in contents]


def _opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def _names(folder: Path, found: Sequence[labelling.File]) -> list[str]:
    return [str(Path(file.path).relative_to(folder)) for file in found]


def test_a_folder_stands_for_its_files_without_hidden_ones(tmp_path: Path) -> None:
    for name in ("b.JPG", "a/c.webp", "a/no suffix", "._b.JPG", ".thumbnails/b.jpg", "d.tif"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "up").symlink_to("..")
    found = labelling.find([str(tmp_path)])
    assert _names(tmp_path, found) == ["a/c.webp", "a/no suffix", "b.JPG", "d.tif"]


@pytest.mark.parametrize("name", ["none.jpg", "empty"])
def test_what_is_not_there_is_told_before_any_file_is_read(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=name):
        labelling.find([str(tmp_path / name)])


def test_an_image_is_sent_as_ingest_writes_it(tmp_path: Path, picture: Picture) -> None:
    contents = {
        "a.jpg": picture(kind="JPEG"),
        "b.webp": picture(kind="WEBP", seed=1),
        "c.jpg": picture(mode="CMYK", kind="JPEG", seed=2),
        "d.bmp": picture(mode="P", kind="BMP", seed=3),
        "e.tif": picture(kind="TIFF", seed=4),
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    model = Model()
    found = labelling.label(labelling.find([str(tmp_path)]), model)
    assert model.sent == [transcode.prepare(each, None).encoded for each in contents.values()]
    assert [one.label for one in found.predictions] == ["40x30"] * len(contents)
    converted = [Path(name).name for name in found.converted]
    assert converted == ["b.webp", "d.bmp", "e.tif"]  # the model reads CMYK as Adobe writes it


def test_a_broken_image_costs_no_other_its_label(tmp_path: Path, picture: Picture) -> None:
    (tmp_path / "a.jpg").write_bytes(picture(kind="JPEG"))
    (tmp_path / "b.jpg").write_bytes(picture(200, 200, kind="JPEG")[:900])
    (tmp_path / "c.png").write_bytes(picture(seed=1))
    (tmp_path / "d.png").symlink_to("nowhere")
    os.mkfifo(tmp_path / "e.png")
    found = labelling.label(labelling.find([str(tmp_path)]), Model())
    assert [Path(one.image).name for one in found.predictions] == [
        "a.jpg",
        "b.jpg",
        "c.png",
        "d.png",
        "e.png",
    ]
    assert [bool(one.error) for one in found.predictions] == [False, True, False, True, True]


def test_what_is_no_image_is_passed_over_in_a_folder_and_refused_by_name(
    tmp_path: Path, picture: Picture
) -> None:
    (tmp_path / "Thumbs.db").write_bytes(b"x")
    (tmp_path / "a.jpg").write_bytes(picture(kind="JPEG"))
    found = labelling.label(labelling.find([str(tmp_path)]), Model())
    assert [Path(one.image).name for one in found.predictions] == ["a.jpg"]
    assert [Path(name).name for name, _ in found.passed_over] == ["Thumbs.db"]
    found = labelling.label(labelling.find([str(tmp_path / "Thumbs.db")]), Model())
    assert found.predictions[0].error


def test_a_folder_without_an_image_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "README.txt").write_text("no image")
    with pytest.raises(FileNotFoundError, match=r"README\.txt"):
        labelling.label(labelling.find([str(tmp_path)]), Model())
