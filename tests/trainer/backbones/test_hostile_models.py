"""A model from a stranger runs nothing when it is loaded as a backbone, and each is told why."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from tests.trainer.backbones import gadgets
from trainer.backbones import registry

FILE = registry.get("file")
NOWHERE = Path("/nowhere")


@pytest.fixture(autouse=True)
def loaders(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails a test as soon as anything loads a model."""

    def load(*_: Any, **__: Any) -> None:
        pytest.fail("the file was loaded")

    monkeypatch.setattr(keras.models, "load_model", load)
    monkeypatch.setattr(keras.layers, "TFSMLayer", load)
    monkeypatch.setattr(tf.saved_model, "load", load)


@pytest.fixture
def marker(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "marker"
    yield path
    assert not path.exists()


def _refusal(path: Path) -> str:
    sentences = set()
    for load in (lambda: FILE.input_size(str(path)), lambda: FILE.build(16, str(path))):
        with pytest.raises(ValueError, match="allowed: ") as caught:
            load()
        sentences.add(str(caught.value))
    (sentence,) = sentences
    assert sentence.startswith(f"{path}: found ")
    assert "\n" not in sentence
    assert len(sentence) < 600 + len(str(path))
    return sentence


@pytest.mark.parametrize("name", gadgets.objects(NOWHERE))
@pytest.mark.parametrize("place", gadgets.PLACES)
def test_hostile_objects_are_refused(name: str, place: str, tmp_path: Path, marker: Path) -> None:
    hostile = gadgets.objects(marker)[name]
    path = gadgets.with_config(
        tmp_path / "evil.keras", lambda config: gadgets.PLACES[place](config, hostile)
    )
    _refusal(path)


def test_a_command_is_not_run(tmp_path: Path, marker: Path) -> None:
    path = tmp_path / "evil.keras"
    gadgets.with_config(path, lambda config: gadgets.command(config, marker))
    assert "'system' of os" in _refusal(path)


def test_calls_on_constants_are_refused(tmp_path: Path) -> None:
    def change(config: gadgets.Json) -> None:
        layer = gadgets.named("keras.src.ops.numpy", "Repeat", repeats=2**40)
        called = [{"args": [1.0], "kwargs": {}}]
        config["config"]["layers"].append({**layer, "name": "repeat", "inbound_nodes": called})

    _refusal(gadgets.with_config(tmp_path / "evil.keras", change))


@pytest.mark.parametrize("levels", [200, 200_000])
def test_deep_configs_are_refused(levels: int, tmp_path: Path) -> None:
    path = tmp_path / "evil.keras"
    gadgets.honest().save(path)
    content = gadgets.members(path)
    deep = (
        b'{"module": "keras", "class_name": "Sequential", "config": '
        + b"[" * levels
        + b"]" * levels
        + b"}"
    )
    assert "levels" in _refusal(gadgets.write(path, {**content, gadgets.CONFIG: deep}))


@pytest.mark.parametrize("config", [b"", b"\xff", b"[]", b"{}", b"null", b'"x"', b"9" * 5000])
def test_configs_without_a_model_are_refused(config: bytes, tmp_path: Path) -> None:
    path = tmp_path / "evil.keras"
    gadgets.honest().save(path)
    _refusal(gadgets.write(path, {**gadgets.members(path), gadgets.CONFIG: config}))


@pytest.mark.parametrize(
    "name", ["model.weights.npz", "../evil", "/evil", "assets/a/vocabulary.txt", "x"]
)
def test_other_members_are_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "evil.keras"
    gadgets.honest().save(path)
    content = gadgets.members(path)
    _refusal(gadgets.write(path, {**content, name: b"x"}))
    _refusal(gadgets.write(path, {name: b"x"}))


def test_members_of_one_name_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "evil.keras"
    gadgets.honest().save(path)
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr(gadgets.CONFIG, b"{}")
    _refusal(path)


def test_archives_that_unpack_to_much_more_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "evil.keras"
    gadgets.honest().save(path)
    content = gadgets.members(path)
    for name in (gadgets.CONFIG, gadgets.WEIGHTS):
        bomb = {**content, name: bytes(2**25)}
        _refusal(gadgets.write(path, bomb, zipfile.ZIP_DEFLATED))


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "evil.keras"
    gadgets.honest().save(tmp_path / "legacy.h5")
    (tmp_path / "legacy.h5").rename(path)
    assert "no zip" in _refusal(path)
    path.write_bytes(b"PK\x05\x06" + bytes(18))
    _refusal(path)
    gadgets.honest().save(path)
    path.write_bytes(path.read_bytes().replace(b"GlobalAverage", b"globalaverage"))
    assert "cannot be read" in _refusal(path)


@pytest.mark.parametrize("name", gadgets.HDF5)
def test_weights_from_elsewhere_are_refused(name: str, tmp_path: Path) -> None:
    path = gadgets.with_weights(tmp_path / "evil.keras", gadgets.HDF5[name])
    assert "weights" in _refusal(path)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("evil.h5", "found a link"), ("evil.keras", "no zip"), ("evil.npz", "allowed: .*h5")],
)
def test_weights_for_a_network_by_name_are_checked(
    name: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keras.Model, "load_weights", lambda *_: pytest.fail("it was loaded"))
    path = gadgets.with_weights(tmp_path / "evil.keras", gadgets.HDF5["link to a file"])
    weights = tmp_path / name
    weights.write_bytes(gadgets.members(path)[gadgets.WEIGHTS])
    with pytest.raises(ValueError, match=f"{name}: .*{sentence}"):
        registry.get("MobileNet").build(32, str(weights))


def test_weights_that_are_no_hdf5_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "evil.keras"
    gadgets.honest().save(path)
    content = gadgets.members(path)
    for weights in (b"", b"x" * 100, content[gadgets.WEIGHTS][:200]):
        assert "HDF5" in _refusal(gadgets.write(path, {**content, gadgets.WEIGHTS: weights}))


@pytest.mark.parametrize("name", gadgets.effects(NOWHERE))
def test_graphs_with_effects_are_refused(name: str, tmp_path: Path, marker: Path) -> None:
    path = gadgets.Graph(gadgets.effects(marker)[name]).save(tmp_path / "evil")
    assert "the operation " in _refusal(path)


def test_a_graph_that_reads_a_table_is_refused(tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("a\nb\n")
    values = tf.lookup.TextFileInitializer(
        str(words), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, -1
    )
    table = tf.lookup.StaticHashTable(values, -1)
    module = gadgets.Graph(lambda images: table.lookup(tf.constant(["a"])))
    module.table = table
    _refusal(module.save(tmp_path / "evil"))


def test_the_functions_for_checkpoints_are_not_called(tmp_path: Path, marker: Path) -> None:
    module = gadgets.Graph(lambda images: None)
    module.scale = tf.Variable(1.0)
    path = module.save(tmp_path / "evil") / "saved_model.pb"
    saved = saved_model_pb2.SavedModel()
    saved.ParseFromString(path.read_bytes())
    (graph,) = saved.meta_graphs
    functions = graph.graph_def.library.function
    (saving,) = [one for one in functions if "traced_save" in one.signature.name]
    serving = next(one for one in functions if "serve" in one.signature.name)
    call = serving.node_def.add(name="evil", op="StatefulPartitionedCall")
    call.attr["f"].func.name = saving.signature.name
    path.write_bytes(saved.SerializeToString())
    _refusal(path.parent)


def test_what_poses_as_a_function_for_checkpoints_is_refused(tmp_path: Path, marker: Path) -> None:
    path = gadgets.Graph(gadgets.effects(marker)["write"]).save(tmp_path / "evil")
    saved = saved_model_pb2.SavedModel()
    saved.ParseFromString((path / "saved_model.pb").read_bytes())
    (graph,) = saved.meta_graphs
    functions = [
        one for one in graph.graph_def.library.function if "traced" not in one.signature.name
    ]
    del graph.graph_def.library.function[:]
    graph.graph_def.library.function.extend(functions)
    names = (graph.saver_def.save_tensor_name.partition(":")[0], graph.saver_def.restore_op_name)
    nodes = [node for node in graph.graph_def.node if node.name in names]
    graph.object_graph_def.ClearField("concrete_functions")
    for node, function in zip(nodes, functions, strict=True):
        node.attr["f"].func.name = function.signature.name
    (path / "saved_model.pb").write_bytes(saved.SerializeToString())
    assert "WriteFile" in _refusal(path)


def test_damaged_saved_models_are_refused(tmp_path: Path) -> None:
    path = gadgets.Graph(lambda images: None).save(tmp_path / "evil")
    for content in (b"", b"\xff" * 50, b"text: not a graph"):
        (path / "saved_model.pb").write_bytes(content)
        _refusal(path)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        builder = tf.compat.v1.saved_model.Builder(str(tmp_path / "old"))
        builder.add_meta_graph_and_variables(session, ["serve"])
        builder.save()
    assert "TensorFlow 2" in _refusal(tmp_path / "old")


def test_the_config_of_the_honest_model_differs_in_nothing_else(tmp_path: Path) -> None:
    path = gadgets.with_config(tmp_path / "model.keras", lambda config: None)
    assert json.loads(gadgets.members(path)[gadgets.CONFIG])["class_name"] == "Functional"
    with pytest.raises(pytest.fail.Exception, match="was loaded"):
        FILE.build(16, str(path))
