"""TF Serving's own server, for machines that have it: the serving tests then run against it too."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
from pathlib import Path

from serving.options import Options

BINARY = shutil.which("tensorflow_model_server")
_CONFIGS = Path(__file__).resolve().parents[2] / "serving" / "tf_serving"
_SECONDS = 120


class TensorFlowModelServer:
    """A running server; its flags are those of tensorflow/serving 2.16.1, model_servers/main.cc.

    Attributes:
        port: of REST.
        grpc_port: of gRPC.
    """

    def __init__(self, options: Options) -> None:
        """Starts it and waits until it listens, which it does once each version was tried."""
        # It takes 0 for no port at all.
        self.port, self.grpc_port = _free_ports(2)
        self._process = subprocess.Popen(
            [str(BINARY), *self._flags(options)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + _SECONDS
        while not _listens(self.port):
            assert self._process.poll() is None, f"it ended with {self._process.returncode}"
            assert time.monotonic() < deadline, "it does not listen"
            time.sleep(0.1)

    def stop(self) -> None:
        """Ends it."""
        self._process.terminate()
        self._process.wait()

    def _flags(self, options: Options) -> list[str]:
        flags = [
            f"--rest_api_port={self.port}",
            f"--port={self.grpc_port}",
            f"--monitoring_config_file={_CONFIGS / 'monitoring.config'}",
            # Its default is five more attempts, a minute apart.
            "--max_num_load_retries=0",
        ]
        if options.models_config is None:
            return [
                *flags,
                f"--model_name={options.model_name}",
                f"--model_base_path={options.model_base_path}",
            ]
        return [
            *flags,
            f"--model_config_file={options.models_config}",
            "--model_config_file_poll_wait_seconds=1",
            # Without it no label may stand in the file that a server starts with.
            "--allow_version_labels_for_unavailable_models=true",
        ]


def _free_ports(number: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
