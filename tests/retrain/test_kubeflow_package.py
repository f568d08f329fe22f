"""The Kubeflow SDK's package of the same name, found before ours."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pipeline.config import ConfigError
from retrain import kubeflow_package


def test_another_package_of_the_name_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kubeflow_package.check()
    package = tmp_path / "kubeflow"
    package.mkdir()
    (package / "__init__.py").write_text("raise AssertionError('it is loaded')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "kubeflow", raising=False)
    with pytest.raises(ConfigError) as refused:
        kubeflow_package.check()
    message = str(refused.value)
    assert str(package) in message
    assert "environment of its own" in message
    assert "\n" not in message
