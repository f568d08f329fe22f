"""Sources of images: each lists its images as `Source`s and knows its class names."""

from __future__ import annotations

import functools
import hashlib
import io
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from pipeline.config import ConfigError
from pipeline.data.ingest.names import normal
from pipeline.data.spans import SPLITS


@dataclass(frozen=True)
class Source:
    """An image that is not read yet. Beam pickles it and sends it to the worker that reads it.

    Attributes:
        name: the image's path or number, for `image/filename` and for messages.
        label: class name.
        split: "train", "val" or "test"; None if the pipeline is to cut the data into splits.
        read: returns the bytes of the image file.
        val_share: probability with which an image of train moves to val; see `settled`.
        slices: name and text of each further feature, to slice metrics by.
    """

    name: str
    label: str
    split: str | None
    read: Callable[[], bytes]
    val_share: float = 0.0
    slices: tuple[tuple[str, str], ...] = ()


class Origin(Protocol):
    """All images of a source.

    Attributes:
        labels: class names in the order of their ids.
        count: number of images; None if it is unknown until all are read.
    """

    @property
    def labels(self) -> tuple[str, ...]: ...  # noqa: D102, as above

    @property
    def count(self) -> int | None: ...  # noqa: D102, as above

    def parts(self, size: int) -> list[Callable[[], Iterable[Source]]]:
        """Returns functions that can be pickled; each lists at most `size` images."""


@dataclass(frozen=True)
class SourceSet:
    """Images that are listed before any is read, and their sorted class names."""

    labels: tuple[str, ...]
    images: tuple[Source, ...]

    @property
    def count(self) -> int | None:
        """The number of images."""
        return len(self.images)

    def parts(self, size: int) -> list[Callable[[], Iterable[Source]]]:
        """Returns functions that each list at most `size` images."""
        starts = range(0, len(self.images), size)
        return [functools.partial(tuple, self.images[start : start + size]) for start in starts]


def settled(image: Source, encoded: bytes) -> str | None:
    """Returns the final split of an image; None if the pipeline is to cut the data.

    A hash of the image's bytes decides whether it moves from train to val, so every ingest agrees.
    """
    if image.split != "train" or not image.val_share:
        return image.split
    hashed = int.from_bytes(hashlib.sha256(encoded).digest()[:8], "big") / 2**64
    return "val" if hashed < image.val_share else "train"


def digits() -> SourceSet:
    """Returns scikit-learn's handwritten digits: 1,797 scans of 8x8 pixels, as grey PNGs.

    They are the test set of E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits",
    UCI Machine Learning Repository, with 17 grey levels.
    """
    from sklearn import datasets  # takes seconds to load

    bunch = datasets.load_digits()
    images = tuple(
        Source(f"digits/{number:04d}.png", str(target), None, functools.partial(_png, scan))
        for number, (scan, target) in enumerate(zip(bunch.images, bunch.target, strict=True))
    )
    return SourceSet(tuple(str(digit) for digit in range(10)), images)


def _png(scan: npt.NDArray[np.float64]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.rint(scan * (255 / 16)).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def folder(root: Path, val_share: float) -> SourceSet:
    """Returns the images of a folder of class folders.

    Every file is listed unless its name starts with a dot; an unreadable one is rejected later.

    Args:
        root: holds a folder for each class, or folders `train`, `test` and perhaps `val` that hold
            the class folders.
        val_share: share of `train` that becomes `val` if there is no folder `val`; see `settled`.

    Raises:
        ConfigError: the folder is missing or has another layout.
    """
    if not root.is_dir():
        raise ConfigError(f"{root}: there is no such folder")
    names = {child.name for child in _folders(root)}
    if not names:
        raise ConfigError(f"{root}: found no folder; allowed: a folder for each class")
    if not names & set(SPLITS):
        images = tuple(_classes(root, root, None, 0.0))
    elif names in ({"train", "test"}, set(SPLITS)):
        share = 0.0 if "val" in names else val_share
        images = tuple(
            image for name in SPLITS for image in _classes(root / name, root, name, share)
        )
        images += tuple(_refused(_loose(root, _folders(root)), root))
    else:
        found = ", ".join(sorted(names))
        raise ConfigError(
            f"{root}: found {found}; allowed: class folders only, or train, test and perhaps val"
        )
    return SourceSet(tuple(sorted({image.label for image in images} - {""})), images)


def _folders(root: Path) -> list[Path]:
    """Returns folders and links to folders, without hidden ones and links back to a parent."""
    here = root.resolve()
    return sorted(
        child
        for child in root.iterdir()
        if child.name[0] != "." and child.is_dir() and not here.is_relative_to(child.resolve())
    )


def _loose(root: Path, folders: list[Path]) -> list[Path]:
    return sorted(set(root.iterdir()) - set(folders) - set(root.glob(".*")))


def _classes(parent: Path, root: Path, split: str | None, share: float) -> Iterator[Source]:
    if not parent.is_dir():
        return
    folders = _folders(parent)
    for class_folder in folders:
        label = normal(class_folder.name)
        for file, read in _files(class_folder):
            name = str(file.relative_to(root))
            yield Source(name, label, split, read if label else _blank, share)
    yield from _refused(_loose(parent, folders), root)


def _refused(files: Iterable[Path], root: Path) -> Iterator[Source]:
    refuse = functools.partial(_refuse, "in no class folder")
    return (Source(str(file.relative_to(root)), "", None, refuse) for file in files)


def _files(folder: Path) -> Iterator[tuple[Path, Callable[[], bytes]]]:
    """Yields path and reader of each file below a folder; readers of skipped folders raise."""
    unlisted: list[OSError] = []
    for at, folders, files in os.walk(folder, onerror=unlisted.append):
        # A link may lead back here, so it is not followed.
        links = [name for name in folders if Path(at, name).is_symlink()]
        folders[:] = sorted(name for name in folders if name not in links and name[0] != ".")
        for name in sorted(name for name in links if name[0] != "."):
            yield Path(at, name), functools.partial(_refuse, "a link to a folder, not followed")
        for name in sorted(name for name in files if name[0] != "."):
            yield Path(at, name), functools.partial(read_file, str(Path(at, name)))
    for error in unlisted:
        yield Path(error.filename), functools.partial(_refuse, f"cannot be listed: {error}")


def _refuse(reason: str) -> NoReturn:
    raise OSError(reason)


_blank = functools.partial(_refuse, "the name of its class folder is blank")


def read_file(path: str) -> bytes:
    """Returns the content of a file.

    Raises:
        OSError: the file cannot be read or is not regular; reading a pipe could take for ever.
        ValueError: the path has a NUL.
    """
    with open(path, "rb", opener=_open_without_waiting) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError("no regular file")
        return file.read()


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)
