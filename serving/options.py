"""What the server can be told, as a value and on a command line. Nothing heavy is imported here."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

DESCRIPTION = (
    "Serves models with TF Serving's REST and gRPC API. This is a development server, for machines"
    " without the real one: production runs TF Serving (tensorflow/serving), which takes the same"
    " model folders, the same model config file and the same requests."
)


@dataclass(frozen=True)
class Options:
    """How to serve.

    Attributes:
        models_config: TF Serving's model config file; followed while the server runs.
        model_name: the one model to serve, where there is no such file.
        model_base_path: the folder of its versions.
        host: address to listen on.
        port: of REST; 0 takes a free one.
        grpc_port: of gRPC; 0 takes a free one.
        batching_parameters: TF Serving's batching parameters file.
        max_request_bytes: a larger request is refused.
        request_seconds: how long an answer may take.
        body_seconds: how long a request's headers, and then its body, may take to come.
        drain_seconds: how long a stopping server lets requests finish.
    """

    models_config: str | None = None
    model_name: str = "default"
    model_base_path: str | None = None
    host: str = "127.0.0.1"
    port: int = 8501
    grpc_port: int = 8500
    batching_parameters: Path | None = None
    max_request_bytes: int = 64 * 2**20
    request_seconds: float = 30.0
    body_seconds: float = 30.0
    drain_seconds: float = 30.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options to a command line."""
    what = parser.add_argument_group("what to serve")
    what.add_argument(
        "--model-base-path",
        metavar="DIR",
        help="folder with a numbered folder for each version; new ones are served as they come",
    )
    what.add_argument(
        "--model-name", metavar="NAME", help="the model's name in requests, with --model-base-path"
    )
    what.add_argument(
        "--models-config",
        metavar="FILE",
        help="TF Serving's model config file (--model_config_file there): several models, version"
        " policies and labels; a change is followed within a second",
    )
    where = parser.add_argument_group("where")
    where.add_argument("--host", default=Options.host, help=f"(default: {Options.host})")
    where.add_argument(
        "--port", type=_port, default=Options.port, help="of REST; 0: a free one (default: 8501)"
    )
    where.add_argument(
        "--grpc-port",
        type=_port,
        default=Options.grpc_port,
        help="of gRPC; 0: a free one (default: 8500)",
    )
    limits = parser.add_argument_group("batching and limits")
    limits.add_argument(
        "--batching-parameters-file",
        metavar="FILE",
        help="TF Serving's batching parameters: max_batch_size, batch_timeout_micros,"
        " max_enqueued_batches, num_batch_threads",
    )
    limits.add_argument(
        "--max-request-mb",
        type=_positive,
        default=Options.max_request_bytes / 2**20,
        metavar="MB",
        help="largest request (default: 64)",
    )
    limits.add_argument(
        "--request-seconds",
        type=_positive,
        default=Options.request_seconds,
        metavar="S",
        help="longest computation (default: 30)",
    )
    limits.add_argument(
        "--body-seconds",
        type=_positive,
        default=Options.body_seconds,
        metavar="S",
        help="how long a request may take to come in (default: 30)",
    )
    limits.add_argument(
        "--drain-seconds",
        type=_positive,
        default=Options.drain_seconds,
        metavar="S",
        help="on SIGTERM, how long requests may take to finish (default: 30)",
    )
    parser.add_argument(
        "--json", action="store_true", help="print the ready line as one JSON object"
    )


def from_arguments(arguments: argparse.Namespace) -> Options:
    """Makes options of a command line, parsed by a parser that `add_arguments` prepared."""
    parameters = arguments.batching_parameters_file
    return Options(
        models_config=arguments.models_config or None,
        model_name=arguments.model_name or Options.model_name,
        model_base_path=arguments.model_base_path,
        host=arguments.host,
        port=arguments.port,
        grpc_port=arguments.grpc_port,
        batching_parameters=Path(parameters) if parameters else None,
        max_request_bytes=int(arguments.max_request_mb * 2**20),
        request_seconds=arguments.request_seconds,
        body_seconds=arguments.body_seconds,
        drain_seconds=arguments.drain_seconds,
    )


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 65535")
    return port


def _positive(text: str) -> float:
    number = float(text)
    if not 0 < number < 1e6:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and a million")
    return number
