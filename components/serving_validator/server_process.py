"""A server process for one model: TF Serving's binary if it is installed, else our own server."""

from __future__ import annotations

import contextlib
import http.client
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
from typing import Any

from components import outage
from components.outage import OutageError
from components.serving_validator import failures
from components.serving_validator.effort import Effort, Meter
from components.serving_validator.failures import ModelError

MODEL = "candidate"
_BINARY = "tensorflow_model_server"
_POLL_SECONDS = 0.1
_STOP_SECONDS = 10.0
_DEATH_SECONDS = 1.0
# A busy machine answers late, so only a server that hangs takes as long.
REQUEST_SECONDS = 300.0
# How many times `load_seconds` may pass on a machine that leaves the server no processor.
PATIENCE = 10
# A server that would compute for less than this share of the time stands still.
_IDLE = 0.05
_REQUEST_MB = 64  # the default of our own server
# The line in which our own server prints its ports.
_READY = re.compile(r'^\{"host": .*\}$', re.MULTILINE)
_PORTS = range(20_000, 32_000)  # Linux gives a caller that names no port one above these
# A proxy would connect to its own machine instead of this one.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass
class RunningServer:
    """A started server, which answers requests after `wait` has returned.

    Attributes:
        rest: the model's REST address, such as http://127.0.0.1:8501/v1/models/candidate.
        grpc: host and port. `rest` and `grpc` are empty until our own server prints its ports.
        process: the server's process.
        log: file of the server's output.
        meter: of the server's process, since its start.
    """

    rest: str
    grpc: str
    process: subprocess.Popen[bytes]
    log: Path
    meter: Meter

    def wait(self, seconds: float) -> None:
        """Waits until the model is AVAILABLE.

        Args:
            seconds: bound of the server's own time. Time in which it waits for a processor does
                not count, until `PATIENCE` times as much has passed.

        Raises:
            ModelError: the server says that the model does not load.
            OutageError: the server ends, or the model is not AVAILABLE in time.
        """
        moved, size = Effort(0.0), 0
        while True:
            effort = self.meter.read()
            if self.process.poll() is not None:
                raise failures.end(self.log)
            state = _status(self.rest) if self.rest or self._told() else None
            if state is not None:
                error = state["status"]
                if error["error_code"] != "OK":
                    raise failures.unloaded(error["error_code"], error["error_message"])
                if state["state"] == "AVAILABLE":
                    return
            if (effort - moved).busy >= _IDLE or self.log.stat().st_size > size:
                moved, size = effort, self.log.stat().st_size
            if effort.own >= seconds or effort.seconds >= PATIENCE * seconds:
                raise OutageError(failures.late(effort, effort.seconds - moved.seconds, seconds))
            time.sleep(_POLL_SECONDS)

    def peak_memory_mb(self) -> float:
        """Returns the server's peak resident memory in MiB; Linux only."""
        status = Path(f"/proc/{self.process.pid}/status")
        text = status.read_text() if status.exists() else ""
        found = re.search(r"^VmHWM:\s+(\d+) kB$", text, re.MULTILINE)
        if found is None:
            raise OutageError("the server ended while it was measured")
        return int(found.group(1)) / 1024

    def _told(self) -> bool:
        """Reads the ports from the log; returns whether the log holds them yet."""
        ready = _READY.search(self.log.read_text("utf-8", "replace"))
        if ready is not None:
            ports = json.loads(ready.group())
            self.rest, self.grpc = _addresses(ports["port"], ports["grpc_port"])
        return ready is not None


@contextlib.contextmanager
def serving(base_path: str, log: Path, image_bytes: int) -> Iterator[RunningServer]:
    """Starts a server of the newest version in a folder; stops it at the end of the context.

    An `OutageError` within the context leaves it with how far the server came and its last lines.

    Args:
        base_path: local folder of numbered versions.
        log: file for the server's output.
        image_bytes: size of the largest image that the server must accept, in bytes.

    Raises:
        OutageError: the server's process does not start.
    """
    binary = shutil.which(_BINARY)
    if binary is not None:
        # TF Serving opens no port for port 0, so free ports are chosen here.
        port, grpc_port = _free_ports(2)
        command = _tf_serving(binary, base_path, port, grpc_port)
        rest, grpc = _addresses(port, grpc_port)
    else:
        command, rest, grpc = _our_own(base_path, image_bytes), "", ""
    server = RunningServer(rest, grpc, process := _started(command, log), log, Meter(process.pid))
    try:
        try:
            yield server
        except OutageError:
            # A server that dies closes its connections first.
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_DEATH_SECONDS)
            raise
        finally:
            effort, code = server.meter.read(), process.poll()
            _stop(process)
    except OutageError as error:
        # Only now is the server's log whole.
        raise OutageError(failures.story(str(error), effort, code, log)) from None


def _started(command: list[str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as printed:
        try:
            return subprocess.Popen(
                [*_tied_to_us(), *command],
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=subprocess.STDOUT,
            )
        except OSError as error:
            raise OutageError(f"the server does not start: {error}; {outage.AGAIN}") from error


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def post(address: str, body: Any) -> Any:
    """Sends a REST request and returns the parsed answer.

    Raises:
        ModelError: the answer is an error of the model's making, or no JSON.
        OutageError: no answer comes, or an error of the machine's making.
    """
    request = urllib.request.Request(address, json.dumps(body).encode(), method="POST")
    return _read(request, REQUEST_SECONDS)


def _read(request: urllib.request.Request, seconds: float) -> Any:
    try:
        with _opener.open(request, timeout=seconds) as answer:
            text = answer.read()
    except urllib.error.HTTPError as error:
        said = error.read().decode("utf-8", "replace")[: failures.CHARACTERS]
        raise failures.failure(
            str(error.code), f"the server answered {error.code}: {said}"
        ) from error
    except (OSError, http.client.HTTPException) as error:
        raise OutageError(f"the server gave no answer: {error}") from error
    try:
        return json.loads(text)
    except ValueError as error:
        raise ModelError(f"the server's answer is no JSON: {error}") from error


def _addresses(port: int, grpc_port: int) -> tuple[str, str]:
    return f"http://127.0.0.1:{port}/v1/models/{MODEL}", f"127.0.0.1:{grpc_port}"


def _tf_serving(binary: str, base_path: str, port: int, grpc_port: int) -> list[str]:
    return [
        binary,
        f"--rest_api_port={port}",
        f"--port={grpc_port}",
        f"--model_name={MODEL}",
        f"--model_base_path={base_path}",
        # By default it retries five times, once a minute.
        "--max_num_load_retries=0",
        f"--rest_api_timeout_in_ms={REQUEST_SECONDS * 1000:.0f}",
    ]


def _our_own(base_path: str, image_bytes: int) -> list[str]:
    # The server runs as a module, because components do not import serving.
    return [
        # Unbuffered, so that the log is whole however the server ends.
        *(sys.executable, "-u", "-m", "serving"),
        *("--model-base-path", base_path, "--model-name", MODEL),
        *("--port", "0", "--grpc-port", "0", "--json"),
        *("--request-seconds", str(REQUEST_SECONDS)),
        *_limit(image_bytes),
    ]


def _limit(image_bytes: int) -> list[str]:
    """Returns our server's option for large images, if needed; base64 makes them a third larger."""
    needed = math.ceil(image_bytes * 4 / 3 / 2**20) + 1  # 1 MiB for the rest of the request
    return ["--max-request-mb", str(needed)] if needed > _REQUEST_MB else []


def _tied_to_us() -> list[str]:
    """Returns a command prefix with which the kernel stops the server if this process dies."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM", "--"] if setpriv else []


def _free_ports(number: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _status(address: str) -> Any:
    """Returns the state of the model's newest version; None while the server does not answer."""
    try:
        return _read(urllib.request.Request(address), _STOP_SECONDS)["model_version_status"][0]
    except (ModelError, OutageError):
        return None
