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


def _models(store: str) -> tuple[served.Model, ...]:
    file = model_config.path(store)
    return served.parse(served.read(file), file)


def _served(store: str) -> list[int]:
    (model,) = _models(store)
    return list(model.aspired(str(version) for version in model_store.versions(store)))


def test_the_newest_is_served_until_a_version_is_pinned_and_after(tmp_path: Path) -> None:
    store = _versions(tmp_path / "digits", 3, 7, 20)
    assert model_config.in_production(store) == 20
    model_config.ensure(store)
    assert _served(store) == [20]
    model_config.pin(store, 7)
    assert _served(store) == [7]
    assert model_config.in_production(store) == model_config.pinned(store) == 7
    (model,) = _models(store)
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


def test_a_file_that_is_no_config_is_an_error_and_stays(tmp_path: Path) -> None:
    store = _versions(tmp_path / "digits", 3)
    file = Path(model_config.path(store))
    file.write_text("{")
    for use in (model_config.pinned, model_config.clear, lambda store: model_config.pin(store, 3)):
        with pytest.raises(ValueError, match=r"digits\.config: not a model config"):
            use(store)
    assert file.read_text() == "{"


_BY_HAND = """
model_config_list {
  config {
    name: "cats" base_path: "/cats" model_platform: "tensorflow"
    model_version_policy { specific { versions: 5 } }
    version_labels { key: "stable" value: 5 }
  }
  %s
}
"""
_DIGITS = """
  config {
    name: "digits" base_path: "/mounted/digits" model_platform: "tensorflow"
    model_version_policy { latest { num_versions: 2 } }
    version_labels { key: "stable" value: 7 }
  }
"""


def test_what_a_person_wrote_into_the_file_stays(tmp_path: Path) -> None:
    store = _versions(tmp_path / "digits", 3, 7, 20)
    Path(model_config.path(store)).write_text(_BY_HAND % _DIGITS)
    before = _models(store)
    model_config.clear(store)
    assert _models(store) == before
    model_config.pin(store, 3)
    model_config.pin(store, 7)
    assert model_config.pinned(store) == 7
    cats, digits = _models(store)
    assert cats == before[0]
    assert (digits.base_path, digits.labels) == ("/mounted/digits", {"stable": 7})
    assert list(digits.aspired(["3", "7", "20"])) == [7]
    model_config.clear(store)
    assert model_config.pinned(store) is None
    cats, digits = _models(store)
    assert cats == before[0]
    assert (digits.base_path, digits.labels) == ("/mounted/digits", {"stable": 7})
    assert list(digits.aspired(["3", "7", "20"])) == [20]


@pytest.mark.parametrize("text", ["", _BY_HAND % ""])
def test_a_file_without_the_store_s_model_gets_it(tmp_path: Path, text: str) -> None:
    store = _versions(tmp_path / "digits", 3, 7)
    Path(model_config.path(store)).write_text(text)
    before = _models(store) if text else ()
    assert model_config.pinned(store) is None
    model_config.pin(store, 3)
    *others, digits = _models(store)
    assert tuple(others) == before
    assert (digits.name, digits.base_path) == ("digits", store)
    assert list(digits.aspired(["3", "7"])) == [3]


def test_a_relative_store_has_an_absolute_path_in_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model_config.ensure("runs/digits")
    (model,) = _models("runs/digits")
    assert model.base_path == str(tmp_path / "runs" / "digits")
