"""Names from files do nothing to a terminal, and every terminal shows them."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest
from rich.table import Table

from pipeline.data.escaping import printable
from retrain import terminal
from tests.conftest import Picture

HOSTILE = "a\x1b[2Jb\x9b31m\r\x07\u202e\udcff"


@pytest.mark.parametrize("text", ["größe", "猫 two", "a\nb", "👩\u200d🔬", "a\u202fb"])
def test_what_people_write_stays_as_it_is(text: str) -> None:
    assert printable(text) == text


def test_a_console_shows_hostile_text_escaped_wherever_it_stands() -> None:
    file = io.StringIO()
    console = terminal.console(file, width=200)
    table = Table()
    table.add_column(HOSTILE)
    table.add_row(HOSTILE)
    for shown in (HOSTILE, table):
        console.print(shown)
    assert file.getvalue().count(printable(HOSTILE)) == 3
    assert not set("\x1b\x9b\r\x07\u202e\udcff") & set(file.getvalue())


@pytest.mark.parametrize("command", ["run", "runs", "predict", "serve", "lineage"])
def test_an_ascii_terminal_shows_other_letters_as_escapes(tmp_path: Path, command: str) -> None:
    config = tmp_path / "größe.yaml"
    arguments = {"predict": ["x.jpg"], "lineage": ["1"]}.get(command, [])
    done = subprocess.run(
        [sys.executable, "-m", "retrain", command, "--config", str(config), *arguments],
        capture_output=True,
        env={"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii", "PATH": ""},
        check=False,
    )
    assert done.returncode == 2
    (line,) = done.stderr.decode("ascii").splitlines()
    assert r"gr\xf6\xdfe.yaml: there is no such file" in line


def test_names_that_are_not_ascii_come_in_whatever_the_locale_says(
    tmp_path: Path, picture: Picture
) -> None:
    for name in ("Käse", "日本"):
        (tmp_path / "süß" / name).mkdir(parents=True)
        (tmp_path / "süß" / name / "ü.png").write_bytes(picture())
    (tmp_path / "süß" / "Käse" / "ö.png").write_bytes(b"no image")
    done = subprocess.run(
        [sys.executable, "-m", "retrain", "ingest", "süß", "--output", "däta"],
        capture_output=True,
        cwd=tmp_path,
        env={"LC_ALL": "C", "PYTHONUTF8": "0", "PATH": ""},
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert r"K\xe4se/\xf6.png: no image of a known format" in done.stderr.decode("ascii")
    assert (tmp_path / "däta" / "labels.txt").read_text("utf-8") == "Käse\n日本\n"
