"""The PlatformSpec of a compiled pipeline: settings of containers that only Kubernetes has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.config import Step

Spec = dict[str, Any]


def build(steps: Mapping[str, Step]) -> Spec:
    """Returns the PlatformSpec for executor label -> step; empty if no step needs Kubernetes."""
    executors = {label: fields for label, step in steps.items() if (fields := _fields(step))}
    if not executors:
        return {}
    return {"platforms": {"kubernetes": {"deploymentSpec": {"executors": executors}}}}


def keys(platform: Spec) -> list[str]:
    """Returns the names of the KubernetesExecutorConfig fields that a PlatformSpec sets."""
    executors = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    return sorted({key for fields in executors.values() for key in fields})


def _fields(step: Step) -> Spec:
    """Returns the fields of Kubeflow's KubernetesExecutorConfig that a step sets."""
    fields: Spec = {
        "secretAsEnv": [
            {
                "secretName": secret.name,
                "keyToEnv": [{"secretKey": secret.key, "envVar": secret.env}],
            }
            for secret in step.secrets or ()
        ],
        "pvcMount": [{"constant": one.claim, "mountPath": one.path} for one in step.volumes or ()],
        # A copy, because YAML writes a shared object as an anchor.
        "nodeSelector": {"labels": dict(step.node_selector)} if step.node_selector else {},
        "tolerations": [
            {key: value for key, value in toleration.model_dump().items() if value}
            for toleration in step.tolerations or ()
        ],
        "activeDeadlineSeconds": str(step.timeout or ""),
    }
    return {key: value for key, value in fields.items() if value}
