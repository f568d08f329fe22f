"""The state of the code has a name where git knows one."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.history import commit


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder in which the module believes to lie."""
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):  # git sets them for its hooks
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "pipeline").mkdir()
    monkeypatch.setattr(commit, "__file__", str(tmp_path / "pipeline" / "commit.py"))
    commit.commit.cache_clear()
    yield tmp_path
    commit.commit.cache_clear()


def test_code_without_git_has_no_name(code: Path) -> None:
    assert commit.commit() == ""


def _committed(root: Path) -> None:
    """Commits all that a folder holds, as the first commit of its repository."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    who = ("-c", "user.name=a", "-c", "user.email=a@b")
    for arguments in (("init",), ("add", "."), (*who, "commit", "-m", "first")):
        subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True)


def test_code_that_is_installed_into_another_repository_has_no_name(code: Path) -> None:
    (code / "pipeline" / "commit.py").touch()
    (code / ".gitignore").write_text("pipeline\n")
    _committed(code)
    assert commit.commit() == ""


def test_a_commit_is_named_and_so_are_changes_to_it(code: Path) -> None:
    file = code / "pipeline" / "commit.py"
    file.write_text("one")
    _committed(code)
    named = commit.commit()
    assert re.fullmatch("[0-9a-f]{40}", named)
    file.write_text("two")
    (code / "scratch.txt").write_text("what git does not know is no change")
    assert commit.commit() == named  # asked once in a process
    commit.commit.cache_clear()
    assert commit.commit() == f"{named} + changes"
