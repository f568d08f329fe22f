"""The wheel holds all that an installed `retrain` reads, and says what it is."""

from __future__ import annotations

import email
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGES = ("retrain", "pipeline", "components", "serving", "trainer", "kubeflow")
BUILD = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"


def test_the_wheel_is_whole(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, project)
    ignored = shutil.ignore_patterns("__pycache__")
    for name in PACKAGES:
        shutil.copytree(REPOSITORY / name, project / name, ignore=ignored)
    build = [sys.executable, "-c", BUILD, str(tmp_path)]
    subprocess.run(build, cwd=project, check=True, capture_output=True)
    (file,) = tmp_path.glob("retrain-*.whl")
    with zipfile.ZipFile(file) as wheel:
        held = set(wheel.namelist())
        (metadata,) = (name for name in held if name.endswith(".dist-info/METADATA"))
        described = email.message_from_bytes(wheel.read(metadata))
    files = (file for name in PACKAGES for file in (REPOSITORY / name).rglob("*"))
    read = (file for file in files if file.suffix in (".py", ".css", ".j2"))
    needed = {str(file.relative_to(REPOSITORY)) for file in read}
    needed |= {f"{name}/py.typed" for name in PACKAGES}
    assert not needed - held
    assert "components/report/page.html.j2" in held
    assert [name for name in held if name.endswith("/LICENSE")]
    assert described["Name"] == "retrain"
    assert described["License"] == "Apache-2.0"
    assert described["Author"] == "The retrain authors"
    assert "make run" in described.get_payload()
