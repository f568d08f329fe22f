"""docs/kubeflow.md: its commands are there, and its manifests are such as Kubernetes takes."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from retrain.__main__ import parser

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = REPOSITORY.joinpath("docs", "kubeflow.md").read_text("utf-8")
COMMANDS = re.findall(r"^\.venv/bin/retrain (.+)$", PAGE, re.MULTILINE)
SERVING = re.search(r"^cat kubeflow/manifests.+?> tf-serving.yaml$", PAGE, re.MULTILINE | re.DOTALL)
MANIFESTS = re.findall(r"<<'YAML'\n(.+?)^YAML$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_page_is_taken(command: str) -> None:
    options = parser().parse_args(shlex.split(command, comments=True))
    assert callable(options.command)


def test_the_cron_jobs_command_is_taken() -> None:
    (job,) = [m for m in map(yaml.safe_load, MANIFESTS) if m["kind"] == "CronJob"]
    pod = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    program, *arguments = pod["containers"][0]["command"]
    assert program == "retrain"
    assert parser().parse_args(arguments).once


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda text: yaml.safe_load(text)["kind"])
def test_a_manifest_of_the_page_is_valid(manifest: str) -> None:
    kubernetes_validate.validate(yaml.safe_load(manifest), "1.27", strict=True)


def test_the_manifests_of_tf_serving_get_the_pipelines_name_claim_and_store(tmp_path: Path) -> None:
    assert SERVING is not None
    made = tmp_path / "tf-serving.yaml"
    command = SERVING.group().replace("tf-serving.yaml", shlex.quote(str(made)))
    subprocess.run(command, shell=True, check=True, cwd=REPOSITORY)
    resources = list(yaml.safe_load_all(made.read_text("utf-8")))
    assert len(resources) == len(list((REPOSITORY / "kubeflow" / "manifests").glob("*.yaml")))
    for resource in resources:
        kubernetes_validate.validate(resource, "1.27", strict=True)
        assert resource["metadata"]["name"] == "digits-serving"
    (deployment,) = [one for one in resources if one["kind"] == "Deployment"]
    pod = deployment["spec"]["template"]["spec"]
    claims = [volume.get("persistentVolumeClaim") for volume in pod["volumes"]]
    assert {"claimName": "retrain", "readOnly": True} in claims
    models = {"name": "models", "mountPath": "/models/digits", "readOnly": True}
    (container,) = pod["containers"]
    assert {**models, "subPath": "runs/digits/models/digits"} in container["volumeMounts"]
    (files,) = [one["data"] for one in resources if one["kind"] == "ConfigMap"]
    assert 'base_path: "/models/digits"' in files["models.config"]
