"""A rollback goes to a version that is there, or says which are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from components import model_config
from retrain.__main__ import main

ARGUMENTS = ["rollback", "--config"]


@pytest.fixture
def config(tmp_path: Path) -> str:
    file = tmp_path / "config.yaml"
    file.write_text(f"name: digits\ndata: {{root: {tmp_path}}}\noutput: {tmp_path}/out\n")
    return str(file)


@pytest.fixture
def store(tmp_path: Path) -> str:
    for version in (3, 7, 20):
        (tmp_path / "out" / "models" / "digits" / str(version)).mkdir(parents=True)
    return str(tmp_path / "out" / "models" / "digits")


def test_back_one_by_one_to_a_version_and_forward_again(
    config: str, store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments, version, pinned in (
        ([], 7, True),
        ([], 3, True),
        (["--to", "20"], 20, True),
        (["--clear"], 20, False),
    ):
        assert main([*ARGUMENTS, config, "--json", *arguments]) == 0
        told = json.loads(capsys.readouterr().out)
        assert told == {"version": version, "pinned": pinned, "store": store}
        assert model_config.pinned(store) == (version if pinned else None)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["--to", "8"], "--to: found 8; allowed: 3, 7, 20"), ([], "no version before 3")],
)
def test_a_version_that_is_not_there_is_bad_input(
    config: str, store: str, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    model_config.pin(store, 3)
    assert main([*ARGUMENTS, config, *arguments]) == 2
    assert words in capsys.readouterr().err
    assert model_config.pinned(store) == 3


def test_an_empty_store_is_bad_input(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*ARGUMENTS, config]) == 2
    assert "holds no version" in capsys.readouterr().err
