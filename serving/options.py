"""The server's options and their command line; this module imports nothing heavy."""

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
    """The server's options; the help texts in `add_arguments` describe them.

    `body_seconds` limits the arrival of a request's headers, and separately that of its body.
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
    """Adds the fields of `Options` to a command line, and `--json`."""
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
    where.add_argument("--host", help=f"(default: {Options.host})")
    for side, flag, port in (
        ("REST", "--port", Options.port),
        ("gRPC", "--grpc-port", Options.grpc_port),
    ):
        where.add_argument(flag, type=_port, help=f"of {side}; 0: a free one (default: {port})")
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
        metavar="MB",
        help=f"largest request (default: {Options.max_request_bytes // 2**20})",
    )
    for flag, default, what_for in (
        ("--request-seconds", Options.request_seconds, "longest computation"),
        ("--body-seconds", Options.body_seconds, "time in which a request arrives"),
        ("--drain-seconds", Options.drain_seconds, "on SIGTERM, time to finish requests"),
    ):
        help_ = f"{what_for} (default: {default:g})"
        limits.add_argument(flag, type=_positive, metavar="S", help=help_)
    parser.add_argument(
        "--json", action="store_true", help="print the ready line as one JSON object"
    )


def from_arguments(arguments: argparse.Namespace) -> Options:
    """Makes options of parsed arguments; options that were not given keep their defaults."""
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
