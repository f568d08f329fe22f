"""What is blessed is published, and nothing else is."""

from __future__ import annotations

from pathlib import Path

import pytest
import tensorflow as tf
from tfx.components.pusher import component as tfx_pusher
from tfx.types import channel_utils, standard_artifacts
from tfx.utils import path_utils

from components import model_config, model_store
from components.pusher.component import Executor, Pusher


def _push(
    tmp_path: Path, *, blessed: bool, served: bool = True, content: str = "a", keep: int = 2
) -> Pusher:
    """Runs the executor as TFX would, with the component's own execution properties."""
    model = standard_artifacts.Model()
    model.uri = str(tmp_path / f"trained-{content}")
    folder = Path(path_utils.serving_model_dir(model.uri))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "saved_model.pb").write_text(content)
    blessing = standard_artifacts.ModelBlessing()
    blessing.set_int_custom_property("blessed", int(blessed))
    infra_blessing = standard_artifacts.InfraBlessing()
    infra_blessing.set_int_custom_property("blessed", int(served))
    pushed = standard_artifacts.PushedModel()
    pushed.uri = str(tmp_path / "pushed")
    node = Pusher(
        model=channel_utils.as_channel([model]),
        model_blessing=channel_utils.as_channel([blessing]),
        infra_blessing=channel_utils.as_channel([infra_blessing]),
        model_store=str(tmp_path / "store"),
        keep=keep,
    )
    Executor().Do(
        {"model": [model], "model_blessing": [blessing], "infra_blessing": [infra_blessing]},
        {"pushed_model": [pushed]},
        node.exec_properties,
    )
    return pushed


@pytest.mark.parametrize(("blessed", "served"), [(False, True), (True, False), (False, False)])
def test_a_model_that_is_not_blessed_is_not_pushed(
    tmp_path: Path, blessed: bool, served: bool
) -> None:
    pushed = _push(tmp_path, blessed=blessed, served=served)
    assert pushed.get_int_custom_property("pushed") == 0
    assert not (tmp_path / "store").exists()


def test_a_blessed_model_is_pushed_and_the_artifact_says_where(tmp_path: Path) -> None:
    pushed = _push(tmp_path, blessed=True)
    store = str(tmp_path / "store")
    (version,) = model_store.versions(store)
    assert pushed.get_int_custom_property("pushed") == 1
    assert pushed.get_string_custom_property("pushed_version") == str(version)
    destination = pushed.get_string_custom_property("pushed_destination")
    assert destination == model_store.path(store, version)
    assert Path(destination, "saved_model.pb").read_text() == "a"


def test_a_second_push_of_the_same_model_has_the_same_version(tmp_path: Path) -> None:
    first, again = (_push(tmp_path, blessed=True) for _ in range(2))
    assert again.get_int_custom_property("pushed") == 1
    assert again.get_string_custom_property("pushed_version") == first.get_string_custom_property(
        "pushed_version"
    )


@pytest.mark.parametrize("keep", [1, 2])
def test_as_many_versions_stay_as_were_asked_for(tmp_path: Path, keep: int) -> None:
    for content in ("a", "b", "c"):
        _push(tmp_path, blessed=True, content=content, keep=keep)
    assert len(model_store.versions(str(tmp_path / "store"))) == keep


def test_a_version_that_is_pinned_while_another_is_pushed_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = str(tmp_path / "store")
    _push(tmp_path, blessed=True, content="a", keep=1)
    (first,) = model_store.versions(store)
    copy = tf.io.gfile.copy

    def rolled_back(source: str, target: str, overwrite: bool = False) -> None:
        model_config.pin(store, first)
        copy(source, target, overwrite=overwrite)

    monkeypatch.setattr(tf.io.gfile, "copy", rolled_back)
    pushed = _push(tmp_path, blessed=True, content="b", keep=1)
    second = int(pushed.get_string_custom_property("pushed_version"))
    assert model_store.versions(store) == (first, second)


def test_the_component_is_tfx_s_with_this_executor(tmp_path: Path) -> None:
    assert issubclass(Pusher, tfx_pusher.Pusher)
    assert Pusher.EXECUTOR_SPEC.executor_class is Executor
