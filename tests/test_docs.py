"""What the pages name is there: commands parse, make's targets and the files exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from pipeline.local.summary import SERVING_IMAGE
from retrain.__main__ import parser

REPOSITORY = Path(__file__).resolve().parents[1]
PAGES = sorted(
    [*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/*.md"), *REPOSITORY.glob("*/*.md")]
)
FOLDERS = "retrain|pipeline|components|trainer|serving|kubeflow|benchmarks|configs|docs|tests|.ci"


def _code() -> list[tuple[str, str]]:
    """Returns each line of a code block and each piece of code in a sentence, with its page."""
    found = []
    for page in PAGES:
        blocks = re.split(r"^```.*$", page.read_text("utf-8"), flags=re.MULTILINE)
        inside = "".join(blocks[1::2]).replace("\\\n", " ").splitlines()
        inline = re.findall(r"`([^`]+)`", "".join(blocks[::2]))
        found += [(page.name, " ".join(text.split())) for text in [*inside, *inline]]
    return found


CODE = _code()
COMMAND = re.compile(r"(?:\.venv/bin/)?retrain ([a-z-].*)")
COMMANDS = sorted({match[1] for _, text in CODE if (match := COMMAND.fullmatch(text))})


def test_the_pages_hold_commands() -> None:
    assert len(COMMANDS) > 20


def test_pages_and_manifests_name_one_image_of_tf_serving() -> None:
    files = [*PAGES, *REPOSITORY.glob("kubeflow/manifests/*.yaml")]
    found = [re.findall(r"tensorflow/serving:[\w.-]+", file.read_text("utf-8")) for file in files]
    assert len(found) > 1
    assert set().union(*found) == {SERVING_IMAGE}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_parses(command: str) -> None:
    # A version and a span are numbers, and brackets surround what may be left out.
    command = re.sub(r"\bN\b|\bVERSION\b", "1", command).translate({91: None, 93: None})
    try:
        options = parser().parse_args(shlex.split(command, comments=True))
    except SystemExit as end:
        assert end.code == 0, command
    else:
        assert callable(options.command)


def test_make_has_the_targets() -> None:
    makefile = (REPOSITORY / "Makefile").read_text("utf-8")
    named = {match[1] for _, text in CODE if (match := re.match(r"make ([a-z-]+)", text))}
    assert (
        {"run", "test", "docs"} <= named <= set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    )


def test_the_files_exist() -> None:
    path = re.compile(rf"(?<![\w/.-])(?:(?:{FOLDERS})/[\w./-]*|[A-Z]+\.md)")
    modules = re.compile(rf"python -m ((?:{FOLDERS})[\w.]*)")
    named = {(page, name.rstrip(".")) for page, text in CODE for name in path.findall(text)}
    named |= {
        (page, module.replace(".", "/")) for page, text in CODE for module in modules.findall(text)
    }
    assert len(named) > 40
    missing = [
        f"{page}: {name}"
        for page, name in sorted(named)
        if not (REPOSITORY / name).exists() and not (REPOSITORY / f"{name}.py").exists()
    ]
    assert not missing
