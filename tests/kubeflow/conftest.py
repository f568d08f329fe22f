"""Compiled pipelines, a stub of the host, and small pipelines of shell commands."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.config import Config, validate
from tests.kubeflow import stub_host
from tests.kubeflow.stub_host import Stub

Compiled = tuple[dict[str, Any], dict[str, Any]]
SCHEMA = "title: tfx.Model\ntype: object\n"
LABELS = ["cat", "dog"]


def settings(**sections: Any) -> Config:
    """A config whose data lies on no machine."""
    return validate(
        {
            "name": "test_pets",
            "data": {"root": "/mnt/nowhere/data", "labels": LABELS},
            "image": {"size": 32},
            "backbone": {"weights": "none"},
            "output": "/mnt/nowhere/out",
            **sections,
        },
        "test",
    )


@pytest.fixture(scope="session")
def compiled() -> Callable[..., Compiled]:
    """Compiles a config: the pipeline spec, and the platform spec or nothing."""
    from kubeflow import compile as compiler

    def compile_it(**sections: Any) -> Compiled:
        text = compiler.compile_for_kubeflow(settings(**sections))
        spec, *rest = yaml.safe_load_all(text)
        return spec, rest[0] if rest else {}

    return compile_it


@pytest.fixture(scope="session")
def spec(compiled: Callable[..., Compiled]) -> dict[str, Any]:
    return compiled()[0]


def tasks_of(spec: dict[str, Any]) -> dict[str, Any]:
    tasks: dict[str, Any] = spec["root"]["dag"]["tasks"]
    return tasks


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Stub]:
    # Kubeflow's client reads settings from the home folder.
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("KF_PIPELINES_TOKEN", "secret-token")
    with stub_host.running() as stub:
        monkeypatch.setenv("KF_PIPELINES_ENDPOINT", stub.url)
        yield stub
        assert stub.wrong == []


@pytest.fixture(scope="session")
def config(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("config") / "retrain.yaml"
    content = settings(kubeflow={"pipeline_root": "minio://bucket/root"})
    file.write_text(yaml.safe_dump(content.model_dump(mode="json")), "utf-8")
    return str(file)


_COMPILED: dict[str, str] = {}


@pytest.fixture
def compile_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiles each config once a session, for tests of what happens with the text."""
    from kubeflow import compile as compiler

    compile_it = compiler.compile_for_kubeflow

    def compile_or_take(config: Config) -> str:
        key = config.model_dump_json()
        if key not in _COMPILED:
            _COMPILED[key] = compile_it(config)
        return _COMPILED[key]

    monkeypatch.setattr(compiler, "compile_for_kubeflow", compile_or_take)


class Pipeline:
    """A pipeline spec made task by task; each task's container runs a shell command."""

    def __init__(self) -> None:
        """Starts without a task."""
        self.spec: dict[str, Any] = {
            "schemaVersion": "2.1.0",
            "pipelineInfo": {"name": "small"},
            "root": {"dag": {"tasks": {}}},
            "components": {},
            "deploymentSpec": {"executors": {}},
        }

    def parameter(self, name: str, kind: str, **rest: Any) -> None:
        inputs = self.spec["root"].setdefault("inputDefinitions", {"parameters": {}})
        inputs["parameters"][name] = {"parameterType": kind, **rest}

    def task(
        self,
        name: str,
        command: str,
        parameters: dict[str, Any] | None = None,
        artifacts: dict[str, tuple[str, str]] | None = None,
        outputs: tuple[str, ...] = (),
        returns: tuple[str, ...] = (),
        cache: bool = False,
        **rest: Any,
    ) -> dict[str, Any]:
        """`parameters` maps a name to a TaskInputsSpec; `artifacts` to (task, output)."""
        of_artifact = {"artifactType": {"instanceSchema": SCHEMA}}
        of_parameter = {"parameterType": "STRING"}
        self.spec["components"][name] = {
            "executorLabel": f"{name}_executor",
            "inputDefinitions": {
                "parameters": dict.fromkeys(parameters or {}, of_parameter),
                "artifacts": dict.fromkeys(artifacts or {}, of_artifact),
            },
            "outputDefinitions": {
                "artifacts": dict.fromkeys(outputs, of_artifact),
                "parameters": dict.fromkeys(returns, of_parameter),
            },
        }
        container = {"image": "x", "command": ["sh", "-ec", command, "sh"], "args": ["{{$}}"]}
        self.spec["deploymentSpec"]["executors"][f"{name}_executor"] = {"container": container}
        task: dict[str, Any] = {
            "taskInfo": {"name": name},
            "componentRef": {"name": name},
            "cachingOptions": {"enableCache": True} if cache else {},
            "inputs": {
                "parameters": parameters or {},
                "artifacts": {
                    key: {"taskOutputArtifact": {"producerTask": task, "outputArtifactKey": output}}
                    for key, (task, output) in (artifacts or {}).items()
                },
            },
            **rest,
        }
        self.spec["root"]["dag"]["tasks"][name] = task
        return task

    def text(self) -> str:
        return yaml.safe_dump(self.spec)


@pytest.fixture
def pipeline() -> Pipeline:
    return Pipeline()
