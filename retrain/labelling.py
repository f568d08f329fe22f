"""Labels image files: finds them, prepares them as `retrain ingest` does, and asks a model."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from serving.client import Image, Predict, Prediction

STANDARD_INPUT = "-"
# A file in a folder that is no image is passed over, but if it is named as one it is an error.
_IMAGES = frozenset(
    {
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".mpo",
        ".png",
        ".apng",
        ".gif",
        ".bmp",
        ".dib",
        ".webp",
        ".tif",
        ".tiff",
        ".heic",
        ".heif",
        ".avif",
        ".jp2",
        ".ico",
    }
)


@dataclass(frozen=True)
class File:
    """A file to label.

    Attributes:
        path: as given, or `-` for standard input.
        named: whether the user named it; if not, it lies in a folder that the user named.
    """

    path: str
    named: bool


@dataclass(frozen=True)
class Labelled:
    """What a model says of files.

    Attributes:
        predictions: one for each image, in order; one with an `error` has no label.
        converted: names of the labelled images that had to be converted for the model.
        passed_over: name and reason of each file of a folder that is no image.
    """

    predictions: tuple[Prediction, ...]
    converted: tuple[str, ...]
    passed_over: tuple[tuple[str, str], ...]


def find(sources: Iterable[str]) -> list[File]:
    """Lists files, without reading any.

    Args:
        sources: files, folders, or `-` for standard input. A folder stands for its files at any
            depth, sorted by path, without hidden ones and without links to folders.

    Raises:
        FileNotFoundError: a source does not exist, or a folder holds no file.
    """
    return [file for source in sources for file in _listed(source)]


def _listed(source: str) -> list[File]:
    if source == STANDARD_INPUT:
        return [File(source, named=True)]
    if not os.path.lexists(source):
        raise FileNotFoundError(f"{source}: there is no such file or folder")
    if not Path(source).is_dir():
        return [File(source, named=True)]
    found: list[str] = []
    unlisted: list[OSError] = []
    for at, folders, files in os.walk(source, onerror=unlisted.append):
        folders[:] = sorted(name for name in folders if name[0] != ".")
        found += [str(Path(at, name)) for name in files if name[0] != "."]
    found += [str(error.filename) for error in unlisted]  # reading one tells why
    if not found:
        raise FileNotFoundError(f"{source}: there are no images in this folder")
    return [File(path, named=False) for path in sorted(found)]


def label(files: Iterable[File], predict: Predict) -> Labelled:
    """Asks a model for the labels of files; a file that is broken costs no other its label.

    The model that answers is also what says whether it reads a file, as in ingest. What it refuses
    is encoded again if Pillow reads it without loss; if not, the error is that of ingest.

    Args:
        files: see `find`.
        predict: see `serving.client`.

    Raises:
        FileNotFoundError: none of the files is an image.
        serving.client.UnansweredError: the server or the model gave no prediction.
    """
    from pipeline.data.ingest import transcode
    from serving import client

    converted: set[str] = set()
    passed_over: list[tuple[str, str]] = []
    refused: dict[int, Prediction] = {}
    count = 0

    def prepared() -> Iterator[Image]:
        nonlocal count
        for file in files:
            name = "standard input" if file.path == STANDARD_INPUT else file.path
            try:
                content, changed = _prepared(file)
            except transcode.RejectedError as error:
                if file.named or Path(name).suffix.lower() in _IMAGES:
                    refused[count] = client.Prediction(name, error=str(error))
                    count += 1
                else:
                    passed_over.append((name, str(error)))
                continue
            if changed:
                converted.add(name)
            count += 1
            yield client.Image(name, content)

    def anew(image: Image) -> bytes:
        try:
            content = transcode.prepare(image.content, None, reads=lambda _: False).encoded
        except transcode.RejectedError as error:
            raise client.BadImageError(str(error)) from error
        converted.add(image.name)
        return content

    answered = iter(list(client.predictions(prepared(), predict, anew)))
    predictions = tuple(refused.get(index) or next(answered) for index in range(count))
    if not predictions:
        raise FileNotFoundError("; ".join(f"{name}: {reason}" for name, reason in passed_over[:3]))
    changed = tuple(one.image for one in predictions if not one.error and one.image in converted)
    return Labelled(predictions, changed, tuple(passed_over))


def _prepared(file: File) -> tuple[bytes, bool]:
    """Returns a file's bytes for the model, and whether they had to be changed.

    Raises:
        RejectedError: the file cannot be read, or is of a kind that neither the model nor Pillow
            can use.
    """
    from pipeline.data.ingest import transcode
    from pipeline.data.ingest.sources import read_file

    try:
        if file.path == STANDARD_INPUT:
            encoded = sys.stdin.buffer.read()
        elif file.named:  # it may be a pipe
            encoded = Path(file.path).read_bytes()
        else:
            encoded = read_file(file.path)
    except (OSError, ValueError) as error:  # ValueError: the path has a NUL
        reason = getattr(error, "strerror", None) or error
        raise transcode.RejectedError(f"cannot be read: {reason}") from error
    content = transcode.prepare(encoded, None).encoded
    return content, content != encoded
