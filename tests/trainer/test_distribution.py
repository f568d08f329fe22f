"""Two workers learn one model."""

from __future__ import annotations

import contextlib
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
from tests.conftest import PATIENCE_SECONDS, Transformed

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


def _kept_port(stack: contextlib.ExitStack) -> int:
    """Returns a port that only a process which shares it can take, as the workers do."""
    kept = stack.enter_context(socket.socket())
    kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    kept.bind(("localhost", 0))
    return int(kept.getsockname()[1])


@pytest.mark.parametrize("mode", ["scratch", "finetune"])
def test_two_processes_end_with_the_same_weights(
    transformed: Transformed, tmp_path: Path, mode: str
) -> None:
    trainer = {"mode": mode, "epochs": 2}
    job = training.job(transformed, trainer=trainer)
    task = tmp_path / "job.pickle"
    task.write_bytes(pickle.dumps((job, transformed.files, str(tmp_path))))
    logs = [tmp_path / f"worker-{index}.log" for index in range(2)]
    with contextlib.ExitStack() as stack:
        cluster = {"worker": [f"localhost:{_kept_port(stack)}" for _ in range(2)]}
        workers = []
        for index, log in enumerate(logs):
            config = {"cluster": cluster, "task": {"type": "worker", "index": index}}
            environment = {"TF_CONFIG": json.dumps(config), "TF_GRPC_REUSE_PORT": "1"}
            workers.append(
                subprocess.Popen(
                    [sys.executable, "-c", _WORKER, str(task)],
                    env={**os.environ, **environment},
                    stdout=stack.enter_context(log.open("wb")),
                    stderr=subprocess.STDOUT,
                )
            )
            stack.callback(workers[-1].kill)
        codes = [worker.wait(PATIENCE_SECONDS) for worker in workers]
    assert codes == [0, 0], "".join(log.read_text("utf-8", "replace")[-3000:] for log in logs)
    (count, one), (_, two) = (
        pickle.loads((tmp_path / str(n) / "weights.pickle").read_bytes()) for n in range(2)
    )
    assert count == 2
    for first, second in zip(one, two, strict=True):
        assert np.isfinite(first).all()
        np.testing.assert_allclose(first, second, atol=1e-5)
