"""The second document of a compiled pipeline: what only Kubernetes has for a container."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.config import Step

Spec = dict[str, Any]


def of(steps: Mapping[str, Step]) -> Spec:
    """Returns the platform spec.

    Args:
        steps: label of an executor -> what its container gets.

    Returns:
        A PlatformSpec; empty if no container needs anything of Kubernetes.
    """
    executors = {label: dict(_fields(step)) for label, step in steps.items()}
    executors = {label: fields for label, fields in executors.items() if fields}
    if not executors:
        return {}
    return {"platforms": {"kubernetes": {"deploymentSpec": {"executors": executors}}}}


def keys(platform: Spec) -> list[str]:
    """Lists which fields of Kubernetes a platform spec uses."""
    executors = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    return sorted({key for fields in executors.values() for key in fields})


def _fields(step: Step) -> Iterator[tuple[str, Any]]:
    """Yields the fields of Kubeflow's KubernetesExecutorConfig."""
    if step.secrets:
        secrets = [
            {
                "secretName": secret.name,
                "keyToEnv": [{"secretKey": secret.key, "envVar": secret.env}],
            }
            for secret in step.secrets
        ]
        yield "secretAsEnv", secrets
    if step.volumes:
        volumes = [{"constant": volume.claim, "mountPath": volume.path} for volume in step.volumes]
        yield "pvcMount", volumes
    if step.node_selector:
        yield "nodeSelector", {"labels": step.node_selector}
    if step.tolerations:
        tolerations = [
            {key: value for key, value in toleration.model_dump().items() if value}
            for toleration in step.tolerations
        ]
        yield "tolerations", tolerations
    if step.timeout:
        yield "activeDeadlineSeconds", str(step.timeout)
