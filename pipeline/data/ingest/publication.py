"""How a finished span gets its name, and how what a killed ingest left goes away.

What is not published has a hidden name, so no run reads it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.config import ConfigError

REJECTS = "_rejects.csv"
"""The table of a span's rejected images."""
_PARTIAL, _REPLACED = ".partial", ".replaced"
_LABELS_DRAFT = ".labels.partial"


def unfinished(root: Path, number: int) -> Path:
    """Returns the folder in which a span is written."""
    return root / f".span-{number}{_PARTIAL}"


def publish(root: Path, number: int, labels: Sequence[str]) -> None:
    """Gives a span its name, in place of one that has it, after `labels.txt` if that is missing."""
    target, replaced = root / f"span-{number}", root / f".span-{number}{_REPLACED}"
    if not (root / "labels.txt").exists():
        draft = root / _LABELS_DRAFT
        draft.write_text("".join(f"{label}\n" for label in labels), encoding="utf-8")
        draft.rename(root / "labels.txt")
    if target.exists():
        target.rename(replaced)
    unfinished(root, number).rename(target)
    shutil.rmtree(replaced, ignore_errors=True)


def recover(root: Path) -> None:
    """Cleans a data root, if it is there and no other ingest is writing to it."""
    if root.is_dir():
        with contextlib.suppress(ConfigError), only_writer(root):
            clean(root)


def clean(root: Path) -> None:
    """Removes what is unfinished, of any span; restores a span that was not yet replaced.

    The caller holds `only_writer`.
    """
    replaced = list(root.glob(f".span-*{_REPLACED}"))
    for old in replaced:
        target = root / old.name.removeprefix(".").removesuffix(_REPLACED)
        if not target.exists():
            old.rename(target)
    for left in (*replaced, *root.glob(f".span-*{_PARTIAL}")):
        shutil.rmtree(left, ignore_errors=True)
    draft = root / _LABELS_DRAFT
    # Asked first, as a read-only folder refuses to remove even what is not there.
    if draft.exists():
        draft.unlink()


@contextlib.contextmanager
def only_writer(root: Path) -> Iterator[None]:
    """Holds the data root's lock, which the kernel releases even if the process is killed.

    Raises:
        ConfigError: another ingest holds it.
    """
    folder = os.open(root, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise ConfigError(f"{root}: another ingest is writing to it") from None
    finally:
        os.close(folder)
