"""Where images come from: every source yields `Source` values and knows its class names."""

from __future__ import annotations

import functools
import hashlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from sklearn import datasets

from pipeline.config import ConfigError
from pipeline.spans import SPLITS


@dataclass(frozen=True)
class Source:
    """An image before it is read.

    Attributes:
        name: where it came from, for `image/filename` and for messages.
        label: its class name.
        split: "train", "val" or "test"; None leaves the cut to the pipeline.
        read: returns the encoded bytes.
    """

    name: str
    label: str
    split: str | None
    read: Callable[[], bytes]


@dataclass(frozen=True)
class SourceSet:
    """All images of a source, with the class names that occur in it, sorted."""

    labels: tuple[str, ...]
    images: tuple[Source, ...]


def digits() -> SourceSet:
    """Returns scikit-learn's handwritten digits: 1,797 scans of 8x8 pixels, as grey PNGs.

    They are the test set of E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits",
    UCI Machine Learning Repository, with 17 grey levels.
    """
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

    Args:
        root: holds a folder for each class, or `train`, `test` and perhaps `val` with the class
            folders in them. Names that start with a dot are passed over.
        val_share: share of `train` that becomes `val` where there is no such folder, cut by a
            hash of the image, so that an image is never in another split next time.

    Raises:
        ConfigError: the folder is missing or is not laid out like that.
    """
    if not root.is_dir():
        raise ConfigError(f"{root}: there is no such folder")
    names = {child.name for child in _folders(root)}
    if not names:
        raise ConfigError(f"{root}: found no folder; allowed: a folder for each class")
    if not names & set(SPLITS):
        images = tuple(_classes(root, root, None))
    elif names in ({"train", "test"}, set(SPLITS)):
        images = tuple(image for name in SPLITS for image in _classes(root / name, root, name))
        if "val" not in names:
            images = tuple(_set_aside(image, val_share) for image in images)
    else:
        found = ", ".join(sorted(names))
        raise ConfigError(
            f"{root}: found {found}; allowed: class folders only, or train, test and perhaps val"
        )
    return SourceSet(tuple(sorted({image.label for image in images})), images)


def _folders(root: Path) -> list[Path]:
    return sorted(child for child in root.iterdir() if child.is_dir() and child.name[0] != ".")


def _classes(parent: Path, root: Path, split: str | None) -> Iterator[Source]:
    if not parent.is_dir():
        return
    for class_folder in _folders(parent):
        for file in sorted(class_folder.rglob("*")):
            if file.is_file() and not file.name.startswith("."):
                yield Source(str(file.relative_to(root)), class_folder.name, split, file.read_bytes)


def _set_aside(image: Source, share: float) -> Source:
    if image.split != "train":
        return image
    hashed = int.from_bytes(hashlib.sha256(image.read()).digest()[:8], "big") / 2**64
    return Source(image.name, image.label, "val" if hashed < share else "train", image.read)
