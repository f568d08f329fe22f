"""What the real TF Serving is started with: its config files and the cluster's manifests."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from serving import batching, model_config
from tests.serving.conftest import REAL, SERVERS
from tests.serving.tensorflow_model_server import BINARY

REPOSITORY = Path(__file__).resolve().parents[2]
CONFIGS = REPOSITORY / "serving" / "tf_serving"
MANIFESTS = sorted((REPOSITORY / "kubeflow" / "manifests").glob("*.yaml"))
KINDS = {
    "ConfigMap",
    "Deployment",
    "HorizontalPodAutoscaler",
    "NetworkPolicy",
    "PodDisruptionBudget",
    "Service",
}


def _resource(kind: str) -> Any:
    (found,) = (one for one in map(_read, MANIFESTS) if one["kind"] == kind)
    return found


def _read(file: Path) -> Any:
    return yaml.safe_load(file.read_text())


def test_the_real_server_is_among_those_tested() -> None:
    if BINARY is None:
        pytest.skip(f"{REAL} is not on the PATH: the serving tests ran against our server only")
    assert REAL in SERVERS
    told = subprocess.run([BINARY, "--version"], capture_output=True, text=True, check=True)
    assert "TensorFlow ModelServer" in told.stdout


def test_the_model_config_has_both_labels() -> None:
    file = str(CONFIGS / "models.config")
    (model,) = model_config.parse(model_config.read(file), file)
    assert set(model.labels) == {"stable", "canary"}
    # Both labels must find their version loaded.
    assert len(model.aspired(["1", "2", "3"])) == 2


def test_the_batching_parameters_are_read() -> None:
    text = (CONFIGS / "batching.config").read_text()
    assert batching.parse_parameters(text, batching.Parameters()).batch_timeout_micros == 2000


def test_every_kind_is_there() -> None:
    assert {_read(file)["kind"] for file in MANIFESTS} == KINDS


@pytest.mark.parametrize("file", MANIFESTS, ids=lambda file: file.stem)
@pytest.mark.parametrize("version", ["1.27", kubernetes_validate.latest_version()])
def test_manifests_are_what_kubernetes_takes(file: Path, version: str) -> None:
    kubernetes_validate.validate(_read(file), version, strict=True)


def test_a_manifest_with_a_mistake_is_not_taken() -> None:
    resource = _resource("Deployment")
    resource["spec"]["template"]["spec"]["containers"][0]["readOnlyRootFilesystem"] = True
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(resource, "1.27", strict=True)


def test_the_cluster_has_the_files_of_this_folder() -> None:
    files = {file.name: file.read_text() for file in CONFIGS.glob("*.config")}
    assert _resource("ConfigMap")["data"] == files


def test_the_parts_name_each_other() -> None:
    deployment = _resource("Deployment")
    pod = deployment["spec"]["template"]
    labels = pod["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"] == labels
    assert _resource("Service")["spec"]["selector"] == labels
    assert _resource("PodDisruptionBudget")["spec"]["selector"]["matchLabels"] == labels
    assert _resource("NetworkPolicy")["spec"]["podSelector"]["matchLabels"] == labels
    target = _resource("HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]
    assert target["name"] == deployment["metadata"]["name"]
    (container,) = pod["spec"]["containers"]
    names = {port["name"] for port in container["ports"]}
    assert {port["targetPort"] for port in _resource("Service")["spec"]["ports"]} == names
    file = str(CONFIGS / "models.config")
    (model,) = model_config.parse(model_config.read(file), file)
    mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert model.base_path in mounts
    assert model.name in container["readinessProbe"]["httpGet"]["path"]


def test_the_server_has_no_more_rights_than_it_needs() -> None:
    pod = _resource("Deployment")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["runAsUser"] > 0
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert not container["securityContext"]["allowPrivilegeEscalation"]
    assert container["resources"]["requests"]
    assert container["resources"]["limits"]["memory"]
