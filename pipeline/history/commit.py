"""The git commit of the code that runs."""

import functools
import subprocess
from pathlib import Path

_SECONDS = 10
_CHANGED = " + changes"


@functools.cache
def commit() -> str:
    """Returns the git commit of the code, with " + changes" if files differ from it.

    The result is "" if git is missing or does not track the code, as in a container or in an
    environment inside another repository.
    """
    here = Path(__file__).parent
    try:
        _git(here, "ls-files", "--error-unmatch", "--", Path(__file__).name)
        head = _git(here, "rev-parse", "HEAD")
        changed = _git(here, "status", "--porcelain", "--untracked-files=no", "--", here.parent)
    except (OSError, subprocess.SubprocessError):
        return ""
    return f"{head}{_CHANGED}" if changed else head


def is_clean(state: str) -> bool:
    """Returns whether `state`, a result of `commit`, is a commit without changed files."""
    return bool(state) and not state.endswith(_CHANGED)


def _git(folder: Path, *arguments: str | Path) -> str:
    done = subprocess.run(
        ["git", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
        timeout=_SECONDS,
    )
    return done.stdout.strip()
