"""A server process on one model: TF Serving's binary where there is one, else our own server."""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import SystemRandom
from typing import Any

MODEL = "candidate"
_BINARY = "tensorflow_model_server"
_POLL_SECONDS = 0.1
_STOP_SECONDS = 10.0
_LOG_CHARACTERS = 300
_REQUEST_MB = 64  # what our own server takes by default
_PORTS = range(20_000, 32_000)  # Linux gives whoever asks for any port one above these
# The server is on this machine, which a proxy would look for on its own.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class ServerError(Exception):
    """The server does not start, does not load the model, or fails; a sentence says why."""


@dataclass(frozen=True)
class RunningServer:
    """A server that was started; it answers once `wait` has returned.

    Attributes:
        rest: address of the model, such as http://127.0.0.1:8501/v1/models/candidate.
        grpc: host and port.
        process: the process.
        log: the file with all that it prints.
    """

    rest: str
    grpc: str
    process: subprocess.Popen[bytes]
    log: Path

    def wait(self, seconds: float) -> None:
        """Waits until the model is AVAILABLE.

        Raises:
            ServerError: it is not by then, does not load, or the server has ended.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                end = self.log.read_text("utf-8", "replace").strip()[-_LOG_CHARACTERS:]
                raise ServerError(f"the server ended with code {self.process.returncode}: {end}")
            state = _status(self.rest)
            if state is not None:
                error = state["status"]
                if error["error_code"] != "OK":
                    message = error["error_message"].partition("\n")[0][:_LOG_CHARACTERS]
                    raise ServerError(
                        f"the server does not load the model: {error['error_code']}: {message}"
                    )
                if state["state"] == "AVAILABLE":
                    return
            time.sleep(_POLL_SECONDS)
        raise ServerError(f"the model was not AVAILABLE within {seconds:g} seconds")

    def peak_memory_mb(self) -> float:
        """Returns the most memory that the process ever had resident, in MiB (Linux)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
        if found is None:
            raise ServerError("the server ended while it was measured")
        return int(found.group(1)) / 1024


@contextlib.contextmanager
def serving(base_path: str, log: Path, image_bytes: int) -> Iterator[RunningServer]:
    """Serves the newest version in a folder; the process is stopped whatever happens.

    Args:
        base_path: folder of numbered versions, local.
        log: file for all that the server prints.
        image_bytes: size of the largest image that it must take.
    """
    port, grpc_port = _free_ports(2)
    with log.open("wb") as printed:
        process = subprocess.Popen(
            [*_tied_to_us(), *_command(base_path, port, grpc_port, image_bytes)],
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=subprocess.STDOUT,
        )
    try:
        address = f"http://127.0.0.1:{port}/v1/models/{MODEL}"
        yield RunningServer(address, f"127.0.0.1:{grpc_port}", process, log)
    finally:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def post(address: str, body: Any, seconds: float) -> Any:
    """Sends a REST request and returns the parsed answer.

    Raises:
        ServerError: there is no answer, or it is an error.
    """
    request = urllib.request.Request(address, json.dumps(body).encode(), method="POST")
    return _read(request, seconds)


def _read(request: urllib.request.Request, seconds: float) -> Any:
    try:
        with _opener.open(request, timeout=seconds) as answer:
            return json.loads(answer.read())
    except urllib.error.HTTPError as error:
        text = error.read().decode("utf-8", "replace")[:_LOG_CHARACTERS]
        raise ServerError(f"the server answered {error.code}: {text}") from error
    except (OSError, ValueError) as error:
        raise ServerError(f"the server gave no answer: {error}") from error


def _command(base_path: str, port: int, grpc_port: int, image_bytes: int) -> list[str]:
    binary = shutil.which(_BINARY)
    if binary is not None:
        return [
            binary,
            f"--rest_api_port={port}",
            f"--port={grpc_port}",
            f"--model_name={MODEL}",
            f"--model_base_path={base_path}",
            # Its default is five more attempts, a minute apart.
            "--max_num_load_retries=0",
        ]
    # A process of its own, by name: components import nothing of serving.
    return [
        *(sys.executable, "-m", "serving"),
        *("--model-base-path", base_path, "--model-name", MODEL),
        *("--port", str(port), "--grpc-port", str(grpc_port)),
        *_limit(image_bytes),
    ]


def _limit(image_bytes: int) -> list[str]:
    """Raises our own server's limit where an image, in base64 a third larger, would not fit."""
    needed = math.ceil(image_bytes * 4 / 3 / 2**20) + 1  # 1 MiB is for the words around it
    return ["--max-request-mb", str(needed)] if needed > _REQUEST_MB else []


def _tied_to_us() -> list[str]:
    """Has the kernel stop the server if this process is killed, where util-linux is there."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM", "--"] if setpriv else []


def _free_ports(number: int) -> list[int]:
    """Finds ports that nobody is likely to take while the server starts, which takes seconds."""
    return list(itertools.islice(filter(_is_free, SystemRandom().sample(_PORTS, 1000)), number))


def _is_free(port: int) -> bool:
    with socket.socket() as probe, contextlib.suppress(OSError):
        probe.bind(("127.0.0.1", port))
        return True
    return False


def _status(address: str) -> Any:
    """Returns the state of the newest version; None where the server does not tell it yet."""
    try:
        return _read(urllib.request.Request(address), _STOP_SECONDS)["model_version_status"][0]
    except ServerError:
        return None
