"""The model config file says what is served, in words that TF Serving's own parser takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from components import model_config, model_store
from serving import model_config as served


def _versions(store: Path, *versions: int) -> str:
    for version in versions:
        (store / str(version)).mkdir(parents=True)
    return str(store)


def _served(store: str) -> list[int]:
    (model,) = served.read(Path(model_config.path(store)))
    return list(model.aspired(str(version) for version in model_store.versions(store)))


def test_the_newest_is_served_until_a_version_is_pinned_and_after(tmp_path: Path) -> None:
    store = _versions(tmp_path / "digits", 3, 7, 20)
    assert model_config.in_production(store) == 20
    model_config.ensure(store)
    assert _served(store) == [20]
    model_config.pin(store, 7)
    assert _served(store) == [7]
    assert model_config.in_production(store) == model_config.pinned(store) == 7
    (model,) = served.read(Path(model_config.path(store)))
    # TF Serving refuses a file with a label for a version that it has not loaded yet.
    assert (model.name, model.base_path, model.labels) == ("digits", store, {})
    model_config.ensure(store)
    assert _served(store) == [7]
    model_config.clear(store)
    assert model_config.pinned(store) is None
    assert _served(store) == [20]


def test_a_pinned_version_that_is_gone_is_not_in_production(tmp_path: Path) -> None:
    store = _versions(tmp_path / "digits", 3)
    model_config.pin(store, 2)
    assert model_config.in_production(store) == 3


def test_a_file_that_is_no_config_is_an_error(tmp_path: Path) -> None:
    store = _versions(tmp_path / "digits", 3)
    Path(model_config.path(store)).write_text("{")
    with pytest.raises(ValueError, match=r"digits\.config: not a model config"):
        model_config.pinned(store)


def test_a_relative_store_has_an_absolute_path_in_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model_config.ensure("runs/digits")
    (model,) = served.read(tmp_path / "runs" / "digits.config")
    assert model.base_path == str(tmp_path / "runs" / "digits")
