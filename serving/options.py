"""The server's options, as a value and on a command line; this module imports nothing heavy."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, fields
from pathlib import Path

DESCRIPTION = (
    "Serves models with TF Serving's REST and gRPC API. This is a development server for machines"
    " without TF Serving. Production runs TF Serving (tensorflow/serving), which takes the same"
    " model folders, the same model config file and the same requests."
)


@dataclass(frozen=True)
class Options:
    """How to serve.

    Attributes:
        models_config: TF Serving's model config file; the server follows its changes.
        model_name: the name of the only model, where there is no such file.
        model_base_path: the folder of that model's versions.
        host: address to listen on.
        port: port of REST; 0 takes a free one.
        grpc_port: port of gRPC; 0 takes a free one.
        batching_parameters: TF Serving's batching parameters file.
        max_request_bytes: size of the largest request.
        request_seconds: time limit of an answer.
        body_seconds: time limit in which a request's headers arrive, and then its body.
        drain_seconds: time limit in which a stopping server finishes its requests.
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
        help="folder with a numbered folder for each version; new versions are served as they come",
    )
    what.add_argument(
        "--model-name", metavar="NAME", help="the model's name in requests, with --model-base-path"
    )
    what.add_argument(
        "--models-config",
        metavar="FILE",
        help="TF Serving's model config file (--model_config_file there): several models, version"
        " policies and labels; the server follows a change within a second",
    )
    where = parser.add_argument_group("where")
    where.add_argument("--host", default=Options.host, help=f"(default: {Options.host})")
    for option, side, port in (
        ("--port", "REST", Options.port),
        ("--grpc-port", "gRPC", Options.grpc_port),
    ):
        where.add_argument(
            option, type=_port, default=port, help=f"of {side}; 0: a free one (default: {port})"
        )
    limits = parser.add_argument_group("batching and limits")
    limits.add_argument(
        "--batching-parameters-file",
        dest="batching_parameters",
        type=Path,
        metavar="FILE",
        help="TF Serving's batching parameters: max_batch_size, batch_timeout_micros,"
        " max_enqueued_batches, num_batch_threads",
    )
    limits.add_argument(
        "--max-request-mb",
        dest="max_request_bytes",
        type=_mebibytes,
        default=Options.max_request_bytes,
        metavar="MB",
        help=f"largest request (default: {Options.max_request_bytes // 2**20})",
    )
    for option, default, told in (
        ("--request-seconds", Options.request_seconds, "longest computation"),
        ("--body-seconds", Options.body_seconds, "time in which a request arrives"),
        ("--drain-seconds", Options.drain_seconds, "on SIGTERM, time to finish requests"),
    ):
        limits.add_argument(
            option,
            type=_positive,
            default=default,
            metavar="S",
            help=f"{told} (default: {default:g})",
        )
    parser.add_argument(
        "--json", action="store_true", help="print the ready line as one JSON object"
    )


def from_arguments(arguments: argparse.Namespace) -> Options:
    """Makes options of the arguments that `add_arguments` declares."""
    given = {field.name: getattr(arguments, field.name) for field in fields(Options)}
    return Options(**{name: value for name, value in given.items() if value not in (None, "")})


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


def _mebibytes(text: str) -> int:
    return int(_positive(text) * 2**20)
