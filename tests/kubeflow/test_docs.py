"""docs/kubeflow.md: its commands are there, and its manifests are such as Kubernetes takes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from pipeline import cli

PAGE = Path(__file__).resolve().parents[2].joinpath("docs", "kubeflow.md").read_text("utf-8")
COMMANDS = re.findall(r"^\.venv/bin/retrain (.+)$", PAGE, re.MULTILINE)
MANIFESTS = re.findall(r"<<'YAML'\n(.+?)^YAML$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_page_is_taken(command: str) -> None:
    options = cli._parser().parse_args(shlex.split(command, comments=True))
    assert callable(options.command)


def test_the_cron_jobs_command_is_taken() -> None:
    (job,) = [m for m in map(yaml.safe_load, MANIFESTS) if m["kind"] == "CronJob"]
    pod = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    program, *arguments = pod["containers"][0]["command"]
    assert program == "retrain"
    assert cli._parser().parse_args(arguments).once


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda text: yaml.safe_load(text)["kind"])
def test_a_manifest_of_the_page_is_valid(manifest: str) -> None:
    kubernetes_validate.validate(yaml.safe_load(manifest), "1.27", strict=True)
