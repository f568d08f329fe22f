"""ProductionModel hands on the newest version, or an empty model before there is one."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from tfx.types import standard_artifacts

from components import model_store
from components.production_model import component
from components.production_model.component import Driver, ProductionModel


def _publish(tmp_path: Path, content: str) -> int:
    model = tmp_path / f"model-{content}"
    model.mkdir()
    (model / "saved_model.pb").write_text(content)
    (model / "assets").mkdir()
    (model / "assets" / "labels.txt").write_text("cat\ndog\n")
    return model_store.publish(str(model), str(tmp_path / "store"), keep=2)


def _drive(store: Path) -> dict[str, object]:
    # Of what TFX gives, the driver reads the execution properties only, and no metadata.
    information = SimpleNamespace(
        exec_properties={
            "model_store": str(store),
            "version": component.NO_VERSION,
            "labels": '["cat"]',
        }
    )
    found = Driver(None).run(information).exec_properties
    return {name: value.int_value for name, value in found.items()}


def _execute(
    tmp_path: Path, version: int, labels: tuple[str, ...] = ("cat", "dog")
) -> standard_artifacts.Model:
    model = standard_artifacts.Model()
    model.uri = str(tmp_path / "artifact")
    properties = {
        "model_store": str(tmp_path / "store"),
        "version": version,
        "labels": json.dumps(labels),
    }
    ProductionModel.EXECUTOR_SPEC.executor_class().Do({}, {"model": [model]}, properties)
    return model


def test_the_driver_puts_the_newest_version_into_the_properties(tmp_path: Path) -> None:
    store = tmp_path / "store"
    assert _drive(store) == {"version": 0}
    first = _publish(tmp_path, "a")
    assert _drive(store) == {"version": first}
    second = _publish(tmp_path, "b")
    assert second > first
    assert _drive(store) == {"version": second}


def test_the_executor_copies_that_version_where_tfx_looks_for_a_model(tmp_path: Path) -> None:
    from tfx.utils import path_utils

    first = _publish(tmp_path, "a")
    _publish(tmp_path, "b")
    # The driver has decided; what came into the store since does not count.
    model = _execute(tmp_path, first)
    assert model.get_int_custom_property("version") == first
    served = Path(path_utils.serving_model_path(model.uri))
    assert (served / "saved_model.pb").read_text() == "a"


def test_without_a_version_the_model_is_empty(tmp_path: Path) -> None:
    model = _execute(tmp_path, component.NO_VERSION)
    assert model.get_int_custom_property("version") == 0
    assert not list(Path(model.uri).rglob("*.pb"))


def test_a_version_that_has_gone_is_an_error(tmp_path: Path) -> None:
    gone = _publish(tmp_path, "a") - 1
    with pytest.raises(FileNotFoundError, match=str(gone)):
        _execute(tmp_path, gone)


def test_classes_may_be_appended(tmp_path: Path) -> None:
    version = _publish(tmp_path, "a")
    model = _execute(tmp_path, version, ("cat", "dog", "eel"))
    assert model.get_int_custom_property("version") == version


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        (("dog", "cat"), "class 0 is 'cat' in version .* and 'dog' now"),
        (("cat",), "class 1 is 'dog' in version .* and missing now"),
    ],
)
def test_a_class_id_does_not_change_its_meaning(
    tmp_path: Path, labels: tuple[str, ...], told: str
) -> None:
    version = _publish(tmp_path, "a")
    with pytest.raises(ValueError, match=told):
        _execute(tmp_path, version, labels)


def test_the_component_puts_out_a_model_and_asks_this_driver(tmp_path: Path) -> None:
    node = ProductionModel(model_store=str(tmp_path), labels=["cat"])
    assert node.outputs["model"].type is standard_artifacts.Model
    assert node.driver_class is Driver
    assert node.exec_properties.items() >= {
        ("model_store", str(tmp_path)),
        ("version", 0),
        ("labels", '["cat"]'),
    }
