"""Names from elsewhere do nothing to a terminal or a spreadsheet."""

from __future__ import annotations

from pathlib import PurePath

import pytest

from pipeline.data import escaping

HOSTILE = "a\x1b[2Jb\x9b31m\r\x07\u202e\udcff\0\u2028"


@pytest.mark.parametrize("text", ["größe", "猫 two", "👩\u200d🔬", "a\u202fb", "a\\x1b", "a'b\"c"])
def test_what_people_write_stays_as_it_is(text: str) -> None:
    assert escaping.one_line(text) == escaping.printable(text) == text


def test_hostile_text_is_escaped() -> None:
    shown = escaping.printable(f"{HOSTILE}\n{HOSTILE}")
    assert len(shown.splitlines()) == 2
    assert all(line.isprintable() for line in shown.splitlines())
    shown.encode()


def test_a_name_stays_on_one_line() -> None:
    assert escaping.one_line(f"a\n{HOSTILE}").isprintable()


@pytest.mark.parametrize("name", ["=1+1.png", "+1", "-a", "@a/b.png", "\ta", "\ra", "＝1"])  # noqa: RUF001
def test_no_path_is_a_formula(name: str) -> None:
    cell = escaping.path_cell(name)
    assert not cell.startswith(escaping.FORMULAS)
    assert PurePath("/x", cell) == PurePath("/x", name)
    for plain in ("a=1", "/-a", "a/-b"):
        assert escaping.path_cell(plain) == plain
