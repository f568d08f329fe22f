"""The platform document, beside what `test_compile.py` checks of it."""

from __future__ import annotations

import yaml

from kubeflow import platform_spec
from pipeline.config import Step


def test_steps_with_the_same_settings_share_no_yaml_anchor() -> None:
    step = Step.model_validate(
        {
            "node_selector": {"disk": "ssd"},
            "tolerations": [{"key": "gpu", "operator": "Exists"}],
            "volumes": [{"claim": "retrain", "path": "/mnt/retrain"}],
        }
    )
    text = yaml.safe_dump(platform_spec.build({"a_executor": step, "b_executor": step}))
    assert "&" not in text
    executors = yaml.safe_load(text)["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert executors["a_executor"] == executors["b_executor"]
