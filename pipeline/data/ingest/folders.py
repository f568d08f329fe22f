"""Images in a folder for each class, which may lie in a folder for each split."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from components.image_example_gen.label_forms import listed, normal
from pipeline.config import ConfigError
from pipeline.data.ingest import split_names
from pipeline.data.ingest.sources import A_TABLE, Source, SourceSet, read_file, refuse
from pipeline.data.split_roles import role

# What Windows, macOS and storage boxes leave in folders; names with a leading dot are hidden too.
_DROPPINGS = frozenset(
    {
        "$recycle.bin",
        "__macosx",
        "@eadir",
        "desktop.ini",
        "ehthumbs.db",
        "icon\r",
        "system volume information",
        "thumbs.db",
    }
)
# What lies beside folders to explain them; in a class folder it is rejected.
_NOTES = frozenset(
    {"", ".csv", ".html", ".json", ".md", ".pdf", ".tsv", ".txt", ".xml", ".yaml", ".yml"}
)
_blank = functools.partial(refuse, "the name of its class folder is blank")


@dataclass
class _Found:
    """What is found while a folder is listed.

    Attributes:
        images: files that may be images.
        empty: class folders without any file.
        notes: files in no class folder that are no images by their names.
    """

    images: list[Source] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def hidden(name: str) -> bool:
    """Returns whether a file or folder is passed over, as it is hidden or a system's own."""
    return name.startswith(".") or name.lower() in _DROPPINGS


def folder(root: Path) -> SourceSet:
    """Returns the images of a folder of class folders.

    Every file is listed unless it is `hidden`; an unreadable one is rejected later.

    Args:
        root: holds a folder for each class; or a folder for each split that holds these, by the
            names of `split_names`. If folders of splits' names and others lie side by side and
            all hold files only, all are classes.

    Raises:
        ConfigError: the folder has another layout, or no file.
    """
    folders = _folders(root)
    if not folders:
        raise ConfigError(f"{root}: {_without_folders(root)}")
    splits = _splits(root, folders)
    found = _Found()
    if splits:
        for name, split in splits.items():
            _classes(found, root / name, root, split)
        _refuse_loose(found, _loose(root, folders), root)
    else:
        _classes(found, root, root, None)
    if not found.images:
        raise ConfigError(f"{root}: found folders without any file; allowed: images in them")
    labels = tuple(sorted({image.label for image in found.images} - {""}))
    return SourceSet(
        labels,
        tuple(found.images),
        str(root),
        tuple(_told(root, folders, splits, labels, found)),
    )


def _told(
    root: Path,
    folders: Sequence[Path],
    splits: dict[str, str | None],
    labels: Sequence[str],
    found: _Found,
) -> Iterator[str]:
    yield from split_names.renamed(splits)
    named = [folder.name for folder in folders if role(folder.name)]
    if named and not splits:
        yield f"{root}: {listed(named)} beside other folders of images: taken for a class, no split"
    if len(labels) == 1 and len(folders) == 1 and len(_folders(folders[0])) > 1:
        yield f"{root}: found one folder, with folders in it; did you mean {folders[0]}?"
    if found.empty:
        yield f"{root}: class folders without a file are passed over: {listed(found.empty)}"
    if found.notes:
        yield f"{root}: files in no class folder are passed over: {listed(found.notes)}"


def _splits(root: Path, folders: Sequence[Path]) -> dict[str, str | None]:
    """Returns folder -> split, or None if train is to be cut; nothing if folders are classes."""
    named = [folder.name for folder in folders if role(folder.name)]
    others = [folder.name for folder in folders if folder.name not in named]
    nested = [folder.name for folder in folders if _folders(folder)]
    if not named or (others and not nested):
        return {}
    if others and "train" not in map(role, named):
        return {}
    if others:
        raise ConfigError(
            f"{root}: found {listed(named)} beside {listed(others)}, with folders in"
            f" {listed(nested)}; allowed: class folders only, or train, test and perhaps val with"
            f" class folders in each; for a class of such a name, {A_TABLE}"
        )
    if not nested:
        raise ConfigError(
            f"{root}: found {listed(named)} without class folders in them; allowed: a folder for"
            f" each class in each of them, or {A_TABLE}"
        )
    return split_names.splits(str(root), named)


def _without_folders(root: Path) -> str:
    allowed = f"allowed: a folder for each class, or {A_TABLE}"
    files = _loose(root, [])
    if not files:
        return f"found nothing in it; {allowed}"
    tables = [file for file in files if file.suffix.lower() in (".csv", ".tsv", ".jsonl")]
    proposal = f"; did you mean {tables[0]}?" if tables else ""
    return f"found no folder but {len(files)} files, such as {files[0].name}; {allowed}{proposal}"


def _folders(root: Path) -> list[Path]:
    """Returns folders and links to folders, without hidden ones and links back to a parent."""
    here = root.resolve()
    try:
        return sorted(
            child
            for child in root.iterdir()
            if not hidden(child.name)
            and child.is_dir()
            and not here.is_relative_to(child.resolve())
        )
    except OSError as error:
        raise ConfigError(f"{root}: cannot be listed: {error.strerror}") from error


def _loose(root: Path, folders: Sequence[Path]) -> list[Path]:
    others = set(root.iterdir()) - set(folders)
    return sorted(one for one in others if not hidden(one.name))


def _classes(found: _Found, parent: Path, root: Path, split: str | None) -> None:
    folders = _folders(parent)
    for class_folder in folders:
        label = normal(class_folder.name)
        images = [
            Source(str(file.relative_to(root)), label, split, read if label else _blank)
            for file, read in _files(class_folder)
        ]
        found.images += images
        if not images:
            found.empty.append(str(class_folder.relative_to(root)))
    _refuse_loose(found, _loose(parent, folders), root)


def _refuse_loose(found: _Found, files: Iterable[Path], root: Path) -> None:
    loose = functools.partial(refuse, "in no class folder")
    for file in files:
        name = str(file.relative_to(root))
        if file.suffix.lower() in _NOTES and file.is_file():
            found.notes.append(name)
        else:
            found.images.append(Source(name, "", None, loose))


def _files(folder: Path) -> Iterator[tuple[Path, Callable[[], bytes]]]:
    """Yields path and reader of each file below a folder; readers of skipped folders raise."""
    unlisted: list[OSError] = []
    for at, folders, files in os.walk(folder, onerror=unlisted.append):
        # A link may lead back here, so it is not followed.
        links = [name for name in folders if Path(at, name).is_symlink()]
        folders[:] = sorted(name for name in folders if name not in links and not hidden(name))
        for name in sorted(name for name in links if not hidden(name)):
            yield Path(at, name), functools.partial(refuse, "a link to a folder, not followed")
        for name in sorted(name for name in files if not hidden(name)):
            yield Path(at, name), functools.partial(read_file, str(Path(at, name)))
    for error in unlisted:
        yield Path(error.filename), functools.partial(refuse, f"cannot be listed: {error}")
