"""What is no source is told, with the way to make one."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path

import pytest

from pipeline.config import ConfigError
from pipeline.data.ingest import sources
from pipeline.data.ingest.find import find
from retrain.__main__ import main
from tests.conftest import Picture


def _refusal(*names: Path | str, **features: str) -> str:
    with pytest.raises(ConfigError) as caught:
        find([str(name) for name in names], features)
    (line,) = str(caught.value).splitlines()
    return line


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    assert "no such file or folder" in _refusal(tmp_path / "none")
    assert str(tmp_path / "none.csv") in _refusal(tmp_path / "none.csv")
    assert "no such file or folder" in _refusal(tmp_path / "none.tfrecord")
    assert "gs://bucket/photos" in _refusal("gs://bucket/photos")


def test_files_that_are_no_source_are_told(tmp_path: Path, picture: Picture) -> None:
    image, archive, tarball, text = (tmp_path / name for name in ("a.jpg", "a.zip", "a.tgz", "a"))
    image.write_bytes(picture(kind="JPEG"))
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.write(image)
    with tarfile.open(tarball, "w:gz") as tarred:
        tarred.add(image)
    text.write_text("text")
    assert "path,label" in _refusal(image)
    assert "unpack" in _refusal(archive)
    assert "unpack" in _refusal(tarball)
    assert ".parquet" in _refusal(text)


def test_several_sources_are_told(tmp_path: Path) -> None:
    assert "2 sources" in _refusal(tmp_path, "digits")
    assert "--features" in _refusal("digits", image="x")


def test_classes_that_differ_only_in_case_are_told(
    tmp_path: Path, picture: Picture, capfd: pytest.CaptureFixture[str]
) -> None:
    assert sources.alike(("Cat", "cat", "dog", "STRASSE", "straße")) == sources.alike(
        ("Cat", "STRASSE", "cat", "dog", "straße")
    )
    assert sources.alike(("1", "01", "a", "b")) == []
    for number, name in enumerate(("Cat", "cat", "dog")):
        (tmp_path / "in" / name).mkdir(parents=True)
        (tmp_path / "in" / name / "a.png").write_bytes(picture(seed=number))
    (tmp_path / "in" / "empty").mkdir()
    assert main(["ingest", str(tmp_path / "in"), "--output", str(tmp_path / "data")]) == 0
    told = capfd.readouterr().err
    assert "Cat, cat" in told
    assert "empty" in told
    assert (tmp_path / "data" / "labels.txt").read_text() == "Cat\ncat\ndog\n"
