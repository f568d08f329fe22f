"""Two workers learn one model."""

from __future__ import annotations

import json
import os
import pickle
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests import training
from tests.conftest import Transformed

pytestmark = pytest.mark.slow

_WORKER = """
import pickle, sys
from pathlib import Path
from trainer import distribution
place = distribution.place()  # before TensorFlow does anything
from trainer import job as jobs, learning
job, files, folder = pickle.loads(Path(sys.argv[1]).read_bytes())
folder = Path(folder) / str(place.index)
folder.mkdir()
job = jobs.Job.model_validate(job)
paths = jobs.Files([files], [files], folder, str(folder / "logs"), str(folder / "state"))
trained = learning.learn(job, paths)
weights = trained.model.get_weights()
(folder / "weights.pickle").write_bytes(pickle.dumps((place.workers, weights)))
"""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("mode", ["scratch", "finetune"])
def test_two_processes_end_with_the_same_weights(
    transformed: Transformed, tmp_path: Path, mode: str
) -> None:
    trainer = {"mode": mode, "epochs": 2}
    job = training.job(transformed, trainer=trainer)
    task = tmp_path / "job.pickle"
    task.write_bytes(pickle.dumps((job, transformed.files, str(tmp_path))))
    cluster = {"worker": [f"localhost:{_free_port()}" for _ in range(2)]}
    workers = []
    for index in range(2):
        config = {"cluster": cluster, "task": {"type": "worker", "index": index}}
        environment = {**os.environ, "TF_CONFIG": json.dumps(config)}
        command = [sys.executable, "-c", _WORKER, str(task)]
        workers.append(
            subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=-2)
        )
    try:
        for worker in workers:
            output, _ = worker.communicate(timeout=300)
            assert worker.returncode == 0, output.decode()[-3000:]
    finally:
        for worker in workers:
            worker.kill()
    (count, one), (_, two) = (
        pickle.loads((tmp_path / str(n) / "weights.pickle").read_bytes()) for n in range(2)
    )
    assert count == 2
    for first, second in zip(one, two, strict=True):
        assert np.isfinite(first).all()
        np.testing.assert_allclose(first, second, atol=1e-5)
