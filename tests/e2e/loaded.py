"""Loads what `retrain` and the cluster's tasks load, for `forks.py`."""

from retrain.environment import prepare_tensorflow

prepare_tensorflow()  # reads settings that TensorFlow takes when it loads

# ruff: noqa: E402, F401
import tfx.orchestration.kubeflow.v2.container.kubeflow_v2_run_executor

import kubeflow.compile
import pipeline.data.ingest
import pipeline.local.run
import pipeline.local.summary
import retrain.__main__
from trainer import fingerprint

# Every run asks what these say, and parsing them takes a second.
for package in ("components", "serving", "trainer"):
    fingerprint.digest(("",), {}, package)
