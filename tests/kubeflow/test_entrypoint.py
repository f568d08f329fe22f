"""What a container does with what Kubeflow's launcher hands it: the real components, one by one."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from components.image_example_gen.intake import FILE_NAME, Intake
from kubeflow import blueprint, entrypoint
from kubeflow.blueprint import VARIABLE, Blueprint
from tests.conftest import Record
from tests.kubeflow.conftest import LABELS, Compiled

URI = "minio://mlpipeline/v2/artifacts"
NO_TYPE = {"instanceSchema": ""}


@dataclass(frozen=True)
class Container:
    """Runs tasks of a compiled pipeline as Kubeflow's launcher does, in this process."""

    spec: dict[str, Any]
    root: Path

    def path(self, uri: str) -> Path:
        return self.root / "minio" / uri.removeprefix("minio://")

    def run(
        self,
        task: str,
        artifacts: dict[str, dict[str, Any]] | None = None,
        **parameters: Any,
    ) -> tuple[int, dict[str, Any]]:
        """Returns the exit code and what the task wrote to its output file."""
        component = self.spec["components"][task]
        given = self.spec["root"]["dag"]["tasks"][task]["inputs"].get("parameters", {})
        defaults = self.spec["root"]["inputDefinitions"]["parameters"]
        values = {}
        for name, source in given.items():
            if "componentInputParameter" in source:
                values[name] = defaults[source["componentInputParameter"]]["defaultValue"]
            elif "runtimeValue" in source:
                values[name] = source["runtimeValue"]["constant"]
        outputs = component.get("outputDefinitions", {}).get("artifacts", {})
        file = self.root / "output.json"
        file.unlink(missing_ok=True)
        logs = self.path(f"{URI}/{task}/executor-logs")
        logs.parent.mkdir(parents=True, exist_ok=True)
        logs.touch()
        system = {"uri": f"{URI}/{task}/executor-logs", "type": {"schemaTitle": "system.Artifact"}}
        invocation = {
            "inputs": {
                "parameterValues": {**values, **parameters},
                "artifacts": {
                    name: {"artifacts": [artifact]} for name, artifact in (artifacts or {}).items()
                },
            },
            "outputs": {
                "artifacts": {
                    name: {
                        "artifacts": [{"uri": f"{URI}/{task}/{name}", "type": one["artifactType"]}]
                    }
                    for name, one in outputs.items()
                }
                # As the driver of a cluster that publishes logs, which is the default.
                | {"executor-logs": {"artifacts": [system]}},
                "outputFile": str(file),
            },
        }
        container = self.spec["deploymentSpec"]["executors"][f"{task}_executor"]["container"]
        text = json.dumps(invocation)
        code = entrypoint.main([part.replace("{{$}}", text) for part in container["args"]])
        return code, json.loads(file.read_text("utf-8")) if file.exists() else {}


@pytest.fixture
def container(
    compiled: Callable[..., Compiled], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Container]:
    def make(**sections: Any) -> Container:
        spec, _ = compiled(**sections)
        executor = spec["deploymentSpec"]["executors"]["schema-gen_executor"]["container"]
        env = {variable["name"]: variable["value"] for variable in executor["env"]}
        monkeypatch.setenv(VARIABLE, env[VARIABLE])
        monkeypatch.setenv(entrypoint.MOUNTS, str(tmp_path))
        return Container(spec, tmp_path)

    return make


@pytest.fixture
def data(tmp_path: Path, record: Record, picture: Any) -> Path:
    """A data root with one span."""
    return _span(tmp_path / "data", 0, record, picture)


def _span(root: Path, span: int, record: Record, picture: Any) -> Path:
    """Writes a span of six images that no other span has."""
    folder = root / f"span-{span}"
    folder.mkdir(parents=True)
    with tf.io.TFRecordWriter(str(folder / "x.tfrecord")) as writer:
        for number in range(6):
            image = picture(seed=6 * span + number)
            writer.write(record(image, number % 2, LABELS[number % 2]))
    return root


def _schema(container: Container) -> dict[str, Any]:
    """Puts a schema where the launcher puts an input."""
    uri = f"{URI}/before/schema"
    container.path(uri).mkdir(parents=True)
    (container.path(uri) / "schema.pbtxt").write_text("the schema")
    return {"schema": {"name": "7", "uri": uri, "type": NO_TYPE, "metadata": {}}}


def test_inputs_without_a_type_at_a_mounted_uri(
    container: Callable[..., Container], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def look(_: Any, inputs: dict[str, list[Any]], *__: Any) -> None:
        (schema,) = inputs["schema"]
        seen.append((schema.type_name, Path(schema.uri, "schema.pbtxt").read_text()))

    monkeypatch.setattr("tfx.components.trainer.executor.GenericExecutor.Do", look)
    pod = container()
    code, _ = pod.run("trainer", _schema(pod))
    assert code == 0
    assert seen == [("Schema", "the schema")]


def test_a_failure_has_its_exit_code_and_a_last_line(
    container: Callable[..., Container],
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("too few images")

    monkeypatch.setattr("tfx.components.trainer.executor.GenericExecutor.Do", fail)
    code, _ = container().run("trainer")
    assert code == 1
    assert capfd.readouterr().err.strip().splitlines()[-1] == "trainer failed: too few images"


def test_a_step_that_books_more_gpus_than_there_are_fails_before_it_computes(
    container: Callable[..., Container],
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def never(*_: Any) -> None:
        pytest.fail("the step computes")

    monkeypatch.setattr("tfx.components.trainer.executor.GenericExecutor.Do", never)
    pod = container(kubeflow={"steps": {"trainer": {"gpu": 1000}}})
    (booked,) = (
        one
        for one in pod.spec["deploymentSpec"]["executors"]["trainer_executor"]["container"]["env"]
        if one["name"] == entrypoint.GPUS
    )
    monkeypatch.setenv(**booked)
    code, _ = pod.run("trainer")
    assert code == 1
    assert "books 1000 GPUs" in capfd.readouterr().err.strip().splitlines()[-1]


def test_outputs_lie_where_the_launcher_looks_and_keep_their_uris(
    container: Callable[..., Container],
) -> None:
    pod = container()
    code, output = pod.run("schema-gen")
    assert code == 0
    (artifact,) = output["artifacts"]["schema"]["artifacts"]
    assert artifact["uri"] == f"{URI}/schema-gen/schema"
    assert "image/encoded" in (pod.path(artifact["uri"]) / "schema.pbtxt").read_text("utf-8")


def test_the_driver_finds_the_newest_span_and_its_fingerprint(
    container: Callable[..., Container], data: Path
) -> None:
    pod = container(data={"root": str(data), "labels": LABELS})
    _, first = pod.run("example-gen-precheck")
    _, again = pod.run("example-gen-precheck")
    assert first == again
    found = json.loads(first["parameterValues"]["driver_output"])
    assert found["parameters"]["span"] == 0
    assert "num_files:1" in found["parameters"]["input_fingerprint"]
    assert found["metadata"]["examples"]["custom:span"] == 0
    shutil.copytree(data / "span-0", data / "span-1")
    _, second = pod.run("example-gen-precheck")
    assert json.loads(second["parameterValues"]["driver_output"])["parameters"]["span"] == 1
    # A runtime parameter pins the span, or moves the root.
    _, pinned = pod.run("example-gen-precheck", data_span="0")
    assert json.loads(pinned["parameterValues"]["driver_output"])["parameters"]["span"] == 0
    moved = data.rename(data.with_name("moved"))
    code, _ = pod.run("example-gen-precheck")
    assert code == 1
    _, elsewhere = pod.run("example-gen-precheck", data_root=str(moved))
    assert json.loads(elsewhere["parameterValues"]["driver_output"])["parameters"]["span"] == 1


@pytest.mark.slow
def test_what_the_driver_found_reaches_the_executor(
    container: Callable[..., Container], data: Path, record: Record, picture: Any
) -> None:
    for span in (3, 4):
        _span(data, span, record, picture)
    pod = container(data={"root": str(data), "labels": LABELS})
    for window, images in ((1, 6), (2, 12)):
        _, checked = pod.run("example-gen-precheck", data_window=window)
        found = checked["parameterValues"]["driver_output"]
        code, output = pod.run("example-gen", driver_output=found, data_window=window)
        assert code == 0
        (artifact,) = output["artifacts"]["examples"]["artifacts"]
        assert artifact["metadata"]["custom:span"] == 4
        came_in = json.loads((pod.path(artifact["uri"]) / FILE_NAME).read_text("utf-8"))
        assert sum(came_in["clean"].values()) == images


def test_the_driver_of_production_reads_the_store_that_a_parameter_names(
    container: Callable[..., Container], tmp_path: Path
) -> None:
    pod = container(output=str(tmp_path / "out"))
    _, nothing = pod.run("production-model-precheck")
    parameters = json.loads(nothing["parameterValues"]["driver_output"])["parameters"]
    assert parameters.get("version", 0) == 0
    (tmp_path / "other" / "17").mkdir(parents=True)
    _, newest = pod.run("production-model-precheck", push_model_store=str(tmp_path / "other"))
    assert json.loads(newest["parameterValues"]["driver_output"])["parameters"]["version"] == 17


def test_the_driver_of_drift_reads_the_span_from_an_input_at_a_mounted_uri(
    container: Callable[..., Container], tmp_path: Path
) -> None:
    pod = container(output=str(tmp_path / "out"))
    uri = f"{URI}/before/examples"
    pod.path(uri).mkdir(parents=True)
    (pod.path(uri) / FILE_NAME).write_text(Intake(2, {}, {}, {}).as_json(), "utf-8")
    examples = {"examples": {"name": "7", "uri": uri, "type": NO_TYPE, "metadata": {}}}

    def found() -> dict[str, Any]:
        _, output = pod.run("span-drift-precheck", examples)
        parameters: dict[str, Any] = json.loads(output["parameterValues"]["driver_output"])
        return parameters["parameters"]

    assert found() == {}
    (tmp_path / "out" / "statistics").mkdir(parents=True)
    (tmp_path / "out" / "statistics" / "span-1.npz").write_bytes(b"sample")
    assert found()["previous"] == 1


def test_no_model_in_production_is_an_empty_artifact(
    container: Callable[..., Container], tmp_path: Path
) -> None:
    pod = container(output=str(tmp_path / "out"))
    found = json.dumps({"parameters": {}, "metadata": {}})
    code, output = pod.run("production-model", driver_output=found)
    assert code == 0
    (artifact,) = output["artifacts"]["model"]["artifacts"]
    assert artifact["metadata"]["version"] == 0
    assert list(pod.path(artifact["uri"]).iterdir()) == []


def test_a_parameter_that_differs_reaches_the_step_s_properties(
    container: Callable[..., Container], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Stops short of the training itself.
    seen: list[dict[str, Any]] = []
    monkeypatch.setattr(
        "tfx.components.trainer.executor.GenericExecutor.Do",
        lambda _, inputs, outputs, properties: seen.append(json.loads(properties["custom_config"])),
    )
    pod = container()
    assert pod.run("trainer")[0] == 0
    assert pod.run("trainer", trainer_epochs=3.0, trainer_learning_rate=0.5)[0] == 0
    compiled, changed = (dict(config["trainer"]) for config in seen)
    assert (compiled["epochs"], compiled["learning_rate"]) == (40, 3e-4)
    assert (changed["epochs"], changed["learning_rate"]) == (3, 0.5)
    assert seen[0]["fingerprint"] != seen[1]["fingerprint"]


def test_the_report_keeps_the_commit_that_was_compiled(
    container: Callable[..., Container], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, Any]] = []
    monkeypatch.setattr(
        "components.report.component.Executor.Do",
        lambda _, inputs, outputs, properties: seen.append(json.loads(properties["options"])),
    )
    monkeypatch.setattr(blueprint, "commit", lambda: "0123abc")
    pod = container()
    monkeypatch.setattr(blueprint, "commit", lambda: "")  # as in an image
    assert pod.run("report")[0] == 0
    assert pod.run("report", trainer_epochs=3.0)[0] == 0
    assert [options["config"]["trainer"]["epochs"] for options in seen] == [40, 3]
    assert [options["commit"] for options in seen] == ["0123abc", "0123abc"]


def test_only_known_object_stores_are_mapped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(entrypoint.MOUNTS, raising=False)
    assert entrypoint.local_path("gs://b/k") == "/gcs/b/k"
    assert entrypoint.local_path("s3://b/k") == "/s3/b/k"
    assert entrypoint.local_path("minio://b/k") == "/minio/b/k"
    assert entrypoint.local_path("/mnt/x") == "/mnt/x"


def test_a_blueprint_survives_its_serialization(container: Callable[..., Container]) -> None:
    container()
    text = os.environ[VARIABLE]
    assert Blueprint.from_json(text).to_json() == text
    # Thousands of class names must fit into the one environment variable.
    assert text.count('"cat"') == 1
    assert Blueprint.from_json(text).config.data.labels == tuple(LABELS)
