"""A fingerprint changes with the code and the parameters, and with nothing else."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from trainer import fingerprint


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package in place of `trainer`: only where sources are looked for is replaced."""
    folder = tmp_path / "package"
    (folder / "backbones" / "deep").mkdir(parents=True)
    (folder / "images.py").write_text("crop = 1\n")
    (folder / "head.py").write_text("units = 1\n")
    (folder / "backbones" / "one.py").write_text("layers = 1\n")
    (folder / "backbones" / "deep" / "two.py").write_text("layers = 2\n")
    monkeypatch.setattr(fingerprint.resources, "files", lambda name: folder)
    return folder


def _digest() -> str:
    return fingerprint.digest(("images.py", "backbones"), {"size": 64})


def test_equal_sources_and_parameters_have_equal_digests(package: Path) -> None:
    before = _digest()
    assert before == _digest()
    assert len(before) == 16
    assert int(before, 16) >= 0


@pytest.mark.parametrize("source", ["images.py", "backbones/one.py", "backbones/deep/two.py"])
def test_a_changed_source_changes_the_digest(package: Path, source: str) -> None:
    before = _digest()
    (package / source).write_text("changed = 1\n")
    assert _digest() != before


def test_a_new_a_renamed_and_a_lost_source_change_the_digest(package: Path) -> None:
    digests = {_digest()}
    (package / "backbones" / "three.py").write_text("")
    digests.add(_digest())
    (package / "backbones" / "three.py").rename(package / "backbones" / "four.py")
    digests.add(_digest())
    (package / "backbones" / "one.py").unlink()
    digests.add(_digest())
    assert len(digests) == 4


def test_code_that_moves_between_files_changes_the_digest(package: Path) -> None:
    before = _digest()
    (package / "backbones" / "one.py").write_text("layers = 2\n")
    (package / "backbones" / "deep" / "two.py").write_text("layers = 1\n")
    assert _digest() != before


def test_files_that_are_not_named_or_hold_no_source_do_not_count(package: Path) -> None:
    before = _digest()
    (package / "head.py").write_text("units = 2\n")
    (package / "backbones" / "weights.bin").write_bytes(b"\0")
    (package / "backbones" / "__pycache__").mkdir()
    (package / "backbones" / "__pycache__" / "one.cpython-310.pyc").write_bytes(b"\0")
    assert _digest() == before


def test_parameters_change_the_digest_but_not_their_order(package: Path) -> None:
    sources = ("images.py",)
    one = fingerprint.digest(sources, {"a": 1, "b": [2, 3]})
    assert one == fingerprint.digest(sources, {"b": [2, 3], "a": 1})
    assert one != fingerprint.digest(sources, {"a": 1, "b": [3, 2]})
    assert one != fingerprint.digest(sources, {"a": 1.5, "b": [2, 3]})


_CODE = '''"""What a module is."""

import math


class Head:
    """What a class is."""

    units = 1


def area(radius: float) -> float:
    """What a function does."""
    message = "a circle of " + str(radius)
    print(message)
    return math.pi * radius**2
'''

_SAME = '''# Some comment.
"""What the module is, said better."""
import math
class Head:
    units = 1
    """How many units."""
def area(
    radius: float,
) -> float:
    """Says it in more lines.

    Args:
        radius: in pixels.
    """
    message = (
        "a circle"
        " of " + str(radius)  # another comment
    )

    print(message)
    return math.pi * (radius ** 2)
'''


def test_docstrings_comments_and_layout_do_not_count(package: Path) -> None:
    (package / "images.py").write_text(_CODE)
    before = _digest()
    (package / "images.py").write_text(_SAME)
    assert _digest() == before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("**2", "**3"),
        ("**2", "**2.0"),
        ("units = 1", "units = None"),
        ("units = 1", "units = True"),
        ("a circle", "a  circle"),
        ("math.pi *", "math.pi /"),
        ("-> float", "-> int"),
        ("    print(message)\n", ""),
    ],
)
def test_what_code_does_counts(package: Path, old: str, new: str) -> None:
    (package / "images.py").write_text(_CODE)
    before = _digest()
    assert old in _CODE
    (package / "images.py").write_text(_CODE.replace(old, new))
    assert _digest() != before


def test_other_files_count_byte_by_byte(package: Path) -> None:
    (package / "backbones" / "page.css").write_text("a {}")
    before = _digest()
    (package / "backbones" / "page.css").write_text("a { }")
    assert _digest() != before


def test_a_digest_is_the_same_on_every_python(package: Path) -> None:
    # Whatever changes this value makes every pipeline train anew.
    (package / "images.py").write_text(_CODE + _NEWER)
    assert fingerprint.digest(("images.py",), {}) == "df92cbdcc43aa21c"


_NEWER = """
async def rows(file, /, *names, most=10, **rest):
    async for row in file:
        match row:
            case {"a": [1, *_], **others} if (n := len(others)) > most:
                yield f"{row!r:>{n}} of" f" {names}", lambda x=None: not x
            case None | "b":
                del rest[...]
"""


def test_modules_of_options_do_not_count(package: Path) -> None:
    before = fingerprint.digest(("",), {})
    (package / "options").mkdir()
    (package / "options" / "head.py").write_text("description = 1\n")
    (package / "backbones" / "options.py").write_text("description = 1\n")
    (package / "section.py").write_text("description = 1\n")
    assert fingerprint.digest(("",), {}) == before


@pytest.mark.parametrize("source", ["nothing.py", "empty"])
def test_a_source_that_is_not_there_is_an_error(package: Path, source: str) -> None:
    (package / "empty").mkdir()
    with pytest.raises(FileNotFoundError):
        fingerprint.digest((source,), {})


def test_the_sources_that_transform_names_are_found() -> None:
    # By the names that `preprocessing.recipe` uses, in the real package.
    importlib.import_module("trainer.preprocessing")
    sources = ("images.py", "freezing.py", "preprocessing.py", "backbones")
    assert fingerprint.digest(sources, {}) != fingerprint.digest(sources[:-1], {})
