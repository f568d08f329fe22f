"""The whole server: starts REST, gRPC and the models, follows the config file, and stops."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
from dataclasses import replace
from functools import partial

import tensorflow as tf
import uvicorn

from serving import batching, grpc_service, loading, model_config, ports, rest, slow_clients
from serving.batching import Batcher, Parameters
from serving.errors import ServingError, invalid
from serving.inference import Inference
from serving.metrics import Metrics
from serving.model_config import Model
from serving.models import POLL_SECONDS, Models
from serving.options import Options

_log = logging.getLogger(__name__)
_KEEP_ALIVE_SECONDS = 30


class Server:
    """A running server, with its REST port, its gRPC port and its models."""

    def __init__(self, options: Options) -> None:
        """Opens the ports, then tries to load every version to serve.

        Raises:
            ServingError: the model config or the batching parameters are wrong.
            OSError: a port is not free.
        """
        self._options = options
        # Read once, so that the follower notices a change while models load.
        path = options.models_config
        self._config = "" if path is None else model_config.read(path)
        configured = _configured(options, self._config)
        parameters = _parameters(options)
        listening = ports.listen(options.host, options.port, "--port")
        self.port: int = listening.getsockname()[1]
        metrics = Metrics()
        self._batcher = Batcher(parameters, metrics)
        load = partial(loading.load, metrics=metrics, seconds=options.request_seconds)
        self.models = Models(configured, load)
        inference = Inference(
            self.models,
            self._batcher,
            metrics,
            request_seconds=options.request_seconds,
            # Unpacked numbers take no more bytes than their JSON or proto. The factor leaves room
            # for short strings.
            most_bytes=8 * options.max_request_bytes,
        )
        try:
            self._grpc, self.grpc_port = grpc_service.server(
                inference, options.host, options.grpc_port, options.max_request_bytes
            )
        except OSError:
            listening.close()
            self._batcher.stop()
            raise
        self._rest = uvicorn.Server(_uvicorn(inference, options))
        self._rest_thread = threading.Thread(
            target=self._rest.run, args=([listening],), name="rest", daemon=True
        )
        self._stopped = threading.Event()
        self._follower = threading.Thread(target=self._follow, name="config", daemon=True)
        self._grpc.start()
        self._rest_thread.start()
        self.models.start()
        self._follower.start()

    def stop(self) -> None:
        """Refuses new requests, finishes the started ones, and closes the models."""
        self._stopped.set()
        # REST and gRPC drain at the same time, because they share the time limit.
        drained = self._grpc.stop(self._options.drain_seconds)
        self._rest.should_exit = True
        self._rest_thread.join(self._options.drain_seconds + 5)
        drained.wait(self._options.drain_seconds + 5)
        self._batcher.stop()
        self.models.stop()

    def _follow(self) -> None:
        """Applies the model config file whenever it changes; logs and ignores a wrong file."""
        path = self._options.models_config
        if path is None:
            return
        while not self._stopped.wait(POLL_SECONDS):
            try:
                now = model_config.read(path)
            except ServingError:
                continue  # an unreadable file may become readable again
            if now == self._config:
                continue
            self._config = now
            try:
                self.models.configure(model_config.parse(now, path), strict=False)
            except ServingError as error:
                _log.error("the old model config stays: %s", error.message)
            else:
                _log.info("%s has changed and is followed", path)


def run(options: Options, *, as_json: bool) -> None:
    """Serves until SIGTERM or SIGINT.

    It prints one line, a JSON object if `as_json`, once the ports are open and it has tried to load
    every version to serve.

    Raises:
        ServingError: the model config or the batching parameters are wrong.
        OSError: a port is not free.
    """
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s"
    )
    tf.get_logger().setLevel(logging.ERROR)
    asked = threading.Event()
    # Loading takes seconds, and a signal in the meantime must not be lost.
    previous = {
        number: signal.signal(number, lambda *_: asked.set())
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        server = Server(options)
        _log.info("listening on port %d (REST) and %d (gRPC)", server.port, server.grpc_port)
        print(_ready(server, options, as_json), flush=True)
        asked.wait()
        print("stopping once the requests under way have their answers", file=sys.stderr)
        server.stop()
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _ready(server: Server, options: Options, as_json: bool) -> str:
    names = server.models.names()
    host = "127.0.0.1" if options.host in ("0.0.0.0", "") else options.host
    if as_json:
        ports = {"port": server.port, "grpc_port": server.grpc_port}
        return json.dumps({"host": host, **ports, "models": names, "pid": os.getpid()})
    host = grpc_service.bracketed(host)
    return (
        f"serving {', '.join(names) or 'nothing'}:"
        f" REST http://{host}:{server.port}/v1/models/{names[0] if names else ''},"
        f" gRPC {host}:{server.grpc_port} (development server; production runs TF Serving)"
    )


def _configured(options: Options, config: str) -> tuple[Model, ...]:
    if options.models_config is not None:
        return model_config.parse(config, options.models_config)
    if options.model_base_path is None:
        raise invalid("give a model's folder or a model config file")
    return (Model(options.model_name, options.model_base_path),)


def _parameters(options: Options) -> Parameters:
    defaults = replace(Parameters(), num_batch_threads=os.cpu_count() or 2)
    path = options.batching_parameters
    if path is None:
        return defaults
    text = model_config.read(str(path))
    try:
        return batching.parse_parameters(text, defaults)
    except ServingError as error:
        raise invalid(f"{path}: {error.message}") from None


def _uvicorn(inference: Inference, options: Options) -> uvicorn.Config:
    application = rest.application(
        inference, max_bytes=options.max_request_bytes, body_seconds=options.body_seconds
    )
    return uvicorn.Config(
        application,
        http=slow_clients.protocol(options.body_seconds),
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=int(options.drain_seconds) or 1,
    )
