"""Folders of class folders, as people and their systems leave them."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.config import ConfigError
from pipeline.data.ingest import folders
from pipeline.data.ingest.sources import Source


def _files(root: Path, *names: str) -> Path:
    """Writes files with any content: nothing reads them here."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    return root


def _kept(images: tuple[Source, ...]) -> dict[str, tuple[str, str | None]]:
    return {image.name: (image.label, image.split) for image in images if image.label}


def _refusal(root: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        folders.folder(root)
    (line,) = str(caught.value).splitlines()
    return line


def test_blanks_around_a_class_name_do_not_count(tmp_path: Path) -> None:
    found = folders.folder(_files(tmp_path, " cat/a", "cat/a", "dog /a", " /a"))
    assert found.labels == ("cat", "dog")
    refused = next(image for image in found.images if not image.label)
    with pytest.raises(OSError, match="blank"):
        refused.read()


def test_a_class_in_two_forms_of_unicode_is_one(tmp_path: Path) -> None:
    parts = ("train/caf\u00e9/a", "train/tea/a", "test/cafe\u0301/a", "test/tea/a")
    assert folders.folder(_files(tmp_path, *parts)).labels == ("caf\u00e9", "tea")


def test_what_systems_leave_is_passed_over(tmp_path: Path) -> None:
    droppings = ("Thumbs.db", "desktop.ini", ".DS_Store", "._0.jpg", ".cache/x.jpg", "@eaDir/x.jpg")
    _files(tmp_path, "a/0.jpg", "b/0.jpg", "__MACOSX/a/._0.jpg", ".hidden/0.jpg")
    _files(tmp_path, *droppings, *(f"a/{name}" for name in droppings))
    found = folders.folder(tmp_path)
    assert _kept(found.images) == {"a/0.jpg": ("a", None), "b/0.jpg": ("b", None)}
    assert len(found.images) == 2
    assert found.told == ()


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (("train", "valid", "test"), {"train": "train", "valid": "val", "test": "test"}),
        (("Training", "Testing"), {"Training": "train", "Testing": "test"}),
        (("train", "test"), {"train": "train", "test": "test"}),
        (("train", "eval"), {"train": "train", "eval": "test"}),
        (("train", "eval", "test"), {"train": "train", "eval": "val", "test": "test"}),
        (("train",), {"train": None}),
    ],
)
def test_folders_of_splits_have_their_usual_names(
    tmp_path: Path, names: tuple[str, ...], splits: dict[str, str | None]
) -> None:
    _files(tmp_path, *(f"{name}/{label}/0" for name in names for label in "ab"))
    found = folders.folder(tmp_path)
    assert found.labels == ("a", "b")
    assert {image.name.partition("/")[0]: image.split for image in found.images} == splits
    told = "".join(found.told)
    assert all(
        f"{name} is {split}" in told for name, split in splits.items() if split and name != split
    )


@pytest.mark.parametrize(
    "names",
    [("train", "plane", "car"), ("valid", "invalid"), ("test", "train", "plane"), ("dev", "qa/x")],
)
def test_a_class_may_be_called_as_a_split(tmp_path: Path, names: tuple[str, ...]) -> None:
    found = folders.folder(_files(tmp_path, *(f"{name}/0" for name in names)))
    assert found.labels == tuple(sorted(name.partition("/")[0] for name in names))
    assert {image.split for image in found.images} == {None}
    assert len(found.told) == 1


@pytest.mark.parametrize(
    "parts",
    [
        ("train/a/0", "b/0"),
        ("train/0", "b/c/0"),
        ("test/a/0", "val/a/0"),
        ("train/a/0", "val/a/0"),
        ("train/a/0", "test/a/0", "extra/a/0"),
        ("train/a/0", "test/a/0", "testing/a/0"),
        ("train/0", "test/0"),
        ("a/", "b/"),
    ],
)
def test_a_folder_that_is_not_clear_is_refused(tmp_path: Path, parts: tuple[str, ...]) -> None:
    for part in parts:
        (tmp_path / part).parent.mkdir(parents=True, exist_ok=True)
        if part[-1] != "/":
            (tmp_path / part).write_bytes(b"x")
        else:
            (tmp_path / part).mkdir()
    assert "allowed:" in _refusal(tmp_path)


def test_a_folder_without_folders_is_told_of_tables(tmp_path: Path) -> None:
    assert "path,label" in _refusal(tmp_path)
    line = _refusal(_files(tmp_path, "a.jpg", "b.jpg"))
    assert "2 files" in line
    assert "a.jpg" in line
    assert "path,label" in line
    assert str(tmp_path / "list.csv") in _refusal(_files(tmp_path, "list.csv"))


def test_class_folders_without_a_file_are_told(tmp_path: Path) -> None:
    _files(tmp_path, "a/0", "b/0", "c/Thumbs.db")
    (tmp_path / "d").mkdir()
    found = folders.folder(tmp_path)
    assert found.labels == ("a", "b")
    (line,) = found.told
    assert line.endswith("c, d")


def test_notes_beside_the_folders_are_told_and_images_rejected(tmp_path: Path) -> None:
    _files(tmp_path, "train/a/0", "test/a/0", "README.txt", "train/LICENSE", "loose.jpg")
    found = folders.folder(tmp_path)
    (line,) = found.told
    assert "README.txt" in line
    assert "train/LICENSE" in line
    (loose,) = (image for image in found.images if not image.label)
    assert loose.name == "loose.jpg"
    with pytest.raises(OSError, match="class folder"):
        loose.read()


def test_one_folder_with_the_classes_in_it_is_told(tmp_path: Path) -> None:
    (line,) = folders.folder(_files(tmp_path, "photos/a/0", "photos/b/0")).told
    assert str(tmp_path / "photos") in line


def test_a_link_to_a_class_folder_is_followed_and_one_to_a_parent_is_not(tmp_path: Path) -> None:
    source = _files(tmp_path / "in", "a/0")
    _files(tmp_path / "elsewhere", "0")
    (source / "b").symlink_to(tmp_path / "elsewhere")
    (source / "c").symlink_to(tmp_path)
    found = folders.folder(source)
    assert _kept(found.images) == {"a/0": ("a", None), "b/0": ("b", None)}
    # It is no note, though its name has no ending: all that is left out is rejected.
    assert [image.name for image in found.images if not image.label] == ["c"]
