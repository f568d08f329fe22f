"""Our own server is started such that it takes every image of the split."""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path

import pytest

from components.serving_validator import server_process
from serving.options import Options, add_arguments, from_arguments

MIB = 2**20


def _told(folder: Path, monkeypatch: pytest.MonkeyPatch, image_bytes: int) -> Options:
    """Returns what the server is told; none is started."""
    commands = []

    def noted(command: list[str], log: Path) -> subprocess.Popen[bytes]:
        commands.append(command)
        return subprocess.Popen(["true"])

    monkeypatch.setattr(server_process.shutil, "which", lambda name: None)
    monkeypatch.setattr(server_process, "_started", noted)
    with server_process.serving("/models", folder / "log", image_bytes):
        pass
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    (command,) = commands
    module = command.index("serving")
    assert command[module - 1] == "-m"
    return from_arguments(parser.parse_args(command[module + 1 :]))


@pytest.mark.parametrize("mib", [1, 40, 47, 48, 200])
def test_the_largest_image_fits_into_a_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mib: int
) -> None:
    told = _told(tmp_path, monkeypatch, mib * MIB)
    assert told.model_base_path == "/models"
    base64_bytes = mib * MIB * 4 / 3
    assert told.max_request_bytes > base64_bytes + 1000


def test_the_default_stays_where_it_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = _told(tmp_path, monkeypatch, 40 * MIB)
    assert told.max_request_bytes == Options.max_request_bytes
