"""Sources of images: each lists its images as `Source`s and knows its class names."""

from __future__ import annotations

import functools
import io
import os
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NoReturn, Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from components.image_example_gen.label_forms import listed
from trainer.features import FILENAME, FORMAT, IMAGE, LABEL, MEASURED, TEXT

A_TABLE = "a CSV file with the header path,label and a line for each image"
"""What a message proposes where folders do not tell the classes."""
_OWN = frozenset({IMAGE, LABEL, TEXT, FILENAME, FORMAT, *MEASURED})


@dataclass(frozen=True)
class Source:
    """An image that is not read yet. Beam pickles it and sends it to the worker that reads it.

    Attributes:
        name: the image's path or number, for `image/filename` and for messages.
        label: class name.
        split: "train", "val" or "test"; None if the pipeline is to cut the data into splits.
        read: returns the bytes of the image file; raises OSError or ValueError if it cannot.
        slices: name and text of each further feature, to slice metrics by; see `slice_name`.
    """

    name: str
    label: str
    split: str | None
    read: Callable[[], bytes]
    slices: tuple[tuple[str, str], ...] = ()


class Origin(Protocol):
    """All images of a source.

    Attributes:
        labels: class names in the order of their ids.
        count: number of images; None if it is unknown until all are read.
        where: what messages call the source.
        told: lines that tell what a person may not expect of the source.
    """

    @property
    def labels(self) -> tuple[str, ...]: ...  # noqa: D102, as above

    @property
    def count(self) -> int | None: ...  # noqa: D102, as above

    @property
    def where(self) -> str: ...  # noqa: D102, as above

    @property
    def told(self) -> tuple[str, ...]: ...  # noqa: D102, as above

    def parts(self, size: int) -> list[Callable[[], Iterable[Source]]]:
        """Returns functions that can be pickled; each lists at most `size` images.

        Where a source must be read from the start of a file, a part is a file.
        """


@dataclass(frozen=True)
class SourceSet:
    """Images that are listed before any is read, and their sorted class names."""

    labels: tuple[str, ...]
    images: tuple[Source, ...]
    where: str
    told: tuple[str, ...] = ()

    @property
    def count(self) -> int | None:
        """The number of images."""
        return len(self.images)

    def parts(self, size: int) -> list[Callable[[], Iterable[Source]]]:
        """Returns functions that each list at most `size` images."""
        starts = range(0, len(self.images), size)
        return [functools.partial(tuple, self.images[start : start + size]) for start in starts]


def alike(labels: Iterable[str]) -> list[str]:
    """Returns a line for each group of class names that differ only in case."""
    groups: dict[str, list[str]] = {}
    for label in labels:
        groups.setdefault(label.casefold(), []).append(label)
    return [
        f"classes {listed(names)} differ only in case: they stay {len(names)} classes"
        for names in groups.values()
        if len(names) > 1
    ]


def slice_name(column: str) -> str | None:
    """Returns the feature that holds a column: `image/COLUMN` unless it has a "/".

    None for a feature that ingest or ImageExampleGen writes itself, such as `image/width`.
    """
    name = column if "/" in column else f"image/{column}"
    return None if name in _OWN else name


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
    return SourceSet(tuple(str(digit) for digit in range(10)), images, "digits")


def _png(scan: npt.NDArray[np.float64]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.rint(scan * (255 / 16)).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def refuse(reason: str) -> NoReturn:
    """Reads nothing: the `read` of a source that is rejected.

    Raises:
        OSError: always, with the reason.
    """
    raise OSError(reason)


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
