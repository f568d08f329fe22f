"""The command line: `retrain`.

Heavy libraries load inside the command that needs them, once it is known and its input was
checked: importing TFX takes seconds, and `--help` or a mistyped key should not.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from pipeline import cluster_commands, run_commands
from pipeline.environment import prepare_tensorflow
from serving import options as serve_options

DONE, REFUSED, BAD_INPUT = 0, 1, 2
_INTERRUPTED = 130  # what shells report for SIGINT: 128 + 2
_DEFAULT_CONFIG = "retrain.yaml"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command.

    Args:
        arguments: the command line without the program's name; the process's own by default.

    Returns:
        The exit code: 0 done, 1 the pipeline refused or failed, 2 bad input, 130 interrupted.
    """
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        return command(options)
    except KeyboardInterrupt:
        print("\ninterrupted; run it again to go on from the last finished step", file=sys.stderr)
        return _INTERRUPTED
    except ValueError as error:
        from pipeline.config import ConfigError

        if options.debug or not isinstance(error, ConfigError):
            traceback.print_exc()
        else:
            print(f"retrain: {error}", file=sys.stderr)
        return BAD_INPUT if isinstance(error, ConfigError) else REFUSED
    except OSError as error:
        if options.debug:
            traceback.print_exc()
        where = f"{error.filename}: " if error.filename else ""
        print(f"retrain: {where}{error.strerror or error}", file=sys.stderr)
        return BAD_INPUT


def _init(options: argparse.Namespace) -> int:
    from pipeline import template
    from pipeline.config import ConfigError

    folder = Path(options.directory)
    target = folder / _DEFAULT_CONFIG
    if target.exists():
        raise ConfigError(f"{target} exists; it is left as it is")
    text = template.render(options.name)
    folder.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")
    print(f"{target} is written. Next, bring in images and run:")
    print(f"  retrain ingest FOLDER --output data/{options.name}")
    print(f"  retrain run --config {target}")
    return DONE


def _ingest(options: argparse.Namespace) -> int:
    from pipeline.config import ConfigError, is_remote
    from pipeline.ingest import spans_there

    root = Path(options.output)
    there = spans_there(root)
    number = options.span if options.span is not None else max(there, default=-1) + 1
    if options.if_missing and (options.span in there if options.span is not None else there):
        print(f"{root} holds span {', '.join(str(span) for span in sorted(there))}: nothing to do")
        return DONE
    if number in there and not options.overwrite:
        raise ConfigError(
            f"{root}/span-{number} exists; choose another --span, or replace it by --overwrite"
        )
    if is_remote(options.output):
        raise ConfigError(
            f"--output: found {options.output}; allowed: a folder that can be renamed"
        )
    from pipeline.ingest.find import find

    source = find(options.source, options.val)
    prepare_tensorflow()
    from rich.console import Console

    from pipeline import progress

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of Google's libraries, about others
        from pipeline.ingest import span_writer

    console = Console(stderr=True)
    written = span_writer.write(
        source,
        root,
        number,
        span_writer.Options(options.max_side, options.overwrite, tuple(options.beam)),
        watch=lambda seen: progress.counted(console, "Writing images", source.count, seen),
    )
    for name, reason in written.rejects:
        shown = f"{name}: {reason}".encode("utf-8", "replace").decode()
        console.print(f"  {shown}", markup=False, highlight=False, soft_wrap=True)
    print(f"{written.path}: {written.images} images, {written.rejected} rejected", end="")
    print(f" (see {written.path / span_writer.REJECTS})" if written.rejected else "")
    return REFUSED if written.rejected else DONE


def _run(options: argparse.Namespace) -> int:
    from pipeline import config, spans

    path = options.config or _DEFAULT_CONFIG
    settings = config.load(path, options.set)
    config.check_weights(settings)
    prepare_tensorflow()
    span = spans.check(settings)
    labels = config.read_labels(settings)
    from rich.console import Console

    from pipeline import logs, progress, summary

    log = logs.new(settings.output)
    logs.capture_shutdown(log)
    with os.fdopen(os.dup(2), "w") as terminal, logs.captured(log):
        console = Console(file=terminal)
        console.print(f"{settings.name}: span {span.number} of {settings.data.root}", markup=False)
        console.print(f"log: {log}", markup=False, highlight=False, soft_wrap=True)
        with progress.spinning(console, "loading TFX"):
            from pipeline import local_run
        outcome = local_run.run(
            settings,
            span,
            labels,
            options.runner,
            log=str(log),
            watch=lambda components: progress.shown(console, components),
        )
    if options.json:
        print(summary.as_json(outcome))
    else:
        summary.show(outcome, Console())
    return DONE if outcome.verdict == "pushed" else REFUSED


def _runs(options: argparse.Namespace) -> int:
    from pipeline import config

    settings = config.load(options.config or _DEFAULT_CONFIG)
    prepare_tensorflow()
    from rich.console import Console

    from pipeline import past_runs

    runs = past_runs.read(settings)
    if options.json:
        print(past_runs.as_json(runs))
    else:
        past_runs.show(runs, Console())
    return DONE


def _serve(options: argparse.Namespace) -> int:
    from pipeline import config

    given = [
        f"--{name.replace('_', '-')}"
        for name in ("config", "model_base_path", "models_config")
        if getattr(options, name)
    ]
    if len(given) > 1:
        raise config.ConfigError(f"{' and '.join(given)}: give one of them")
    if options.model_name and not options.model_base_path:
        raise config.ConfigError("--model-name: give --model-base-path with it")
    store = None
    if not options.models_config and not options.model_base_path:
        store = config.load(options.config or _DEFAULT_CONFIG).model_store
    prepare_tensorflow()
    from components import model_config
    from serving import errors, server

    if store is not None:
        # Through the file that `retrain rollback` writes.
        model_config.ensure(store)
        options.models_config = model_config.path(store)
    told = serve_options.from_arguments(options)
    try:
        server.run(told, as_json=options.json)
    except (errors.ServingError, OSError) as error:
        raise config.ConfigError(str(error)) from error
    return DONE


def _predict(options: argparse.Namespace) -> int:
    from pipeline import config
    from serving import client

    name = options.model_name
    if name and not options.url:
        raise config.ConfigError("--model-name: give --url with it")
    settings = None
    if options.url is None or options.config is not None:
        settings = config.load(options.config or _DEFAULT_CONFIG)
        name = name or settings.model_name
    version = None
    try:
        if options.url is not None:
            predict = client.remote(options.url, name)
        else:
            assert settings is not None
            prepare_tensorflow()
            from components import model_config

            pinned = model_config.pinned(settings.model_store)
            predict, version = client.local(settings.model_store, pinned)
        found = list(client.predictions(client.images(options.images), predict))
    except OSError as error:
        raise config.ConfigError(str(error)) from error
    except client.UnansweredError as error:
        print(f"retrain: {error}", file=sys.stderr)
        return REFUSED
    from pipeline import predicted

    source = options.url or (settings.model_store if settings else "")
    if options.json:
        print(predicted.as_json(found, source, version))
    else:
        predicted.show(found)
    return BAD_INPUT if any(one.error for one in found) else DONE


def _rollback(options: argparse.Namespace) -> int:
    from pipeline import config

    store = config.load(options.config or _DEFAULT_CONFIG).model_store
    prepare_tensorflow()
    from pipeline import rollback

    version = rollback.clear(store) if options.clear else rollback.pin(store, options.to)
    if options.json:
        print(json.dumps({"version": version, "pinned": not options.clear, "store": store}))
    elif options.clear:
        print(f"The newest version is served again: {version or 'there is none yet'}")
    else:
        print(f"Version {version} is served from now on, until: retrain rollback --clear")
    return DONE


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser = argparse.ArgumentParser(
        prog="retrain", description="Keeps an image classifier fresh.", allow_abbrev=False
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    init = commands.add_parser("init", parents=[common], help="write a config to start from")
    init.add_argument("directory", nargs="?", default=".", help="where (default: here)")
    init.add_argument("--name", default="images", help="the pipeline's name (default: images)")
    init.set_defaults(command=_init)

    ingest = commands.add_parser(
        "ingest", parents=[common], help="turn images into a span of TFRecords"
    )
    ingest.add_argument(
        "source",
        help="a folder of class folders, which may lie in train, test and val folders; a CSV or"
        " JSONL file of path, label and columns to slice by; 'digits'; or tfds:NAME of TensorFlow"
        " Datasets",
    )
    ingest.add_argument("--output", required=True, metavar="DIR", help="the config's data.root")
    ingest.add_argument(
        "--span", type=_natural, metavar="N", help="number of the span (default: the next one)"
    )
    ingest.add_argument(
        "--val",
        type=_share,
        default=0.1,
        metavar="SHARE",
        help="share of train that becomes val, in a source that has train and test but no val"
        " (default: 0.1)",
    )
    ingest.add_argument(
        "--max-side",
        type=_side,
        metavar="PIXELS",
        help="make images smaller whose longer side is over this (default: never)",
    )
    ingest.add_argument(
        "--beam",
        action="append",
        default=[],
        metavar="OPTION",
        help="an option for Beam, such as --beam=--runner=FlinkRunner; may be given again",
    )
    ingest.add_argument("--overwrite", action="store_true", help="replace the span if it is there")
    ingest.add_argument("--if-missing", action="store_true", help="do nothing if it is there")
    ingest.set_defaults(command=_ingest)

    run = commands.add_parser("run", parents=[common], help="run the pipeline on this machine")
    _add_config(run)
    run.add_argument(
        "--runner", choices=("beam", "local"), default="beam", help="TFX's runner (default: beam)"
    )
    run.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="override a config key, such as trainer.epochs=5; may be given again",
    )
    run.add_argument("--json", action="store_true", help="print one JSON object")
    run.set_defaults(command=_run)

    runs = commands.add_parser(
        "runs", parents=[common], help="list what ran here, how it ended and what drifted"
    )
    _add_config(runs)
    runs.add_argument("--json", action="store_true", help="print one JSON object")
    runs.set_defaults(command=_runs)

    serve = commands.add_parser(
        "serve",
        parents=[common],
        help="serve the model store for development; production runs TF Serving",
        description=serve_options.DESCRIPTION,
    )
    _add_config(serve)
    serve_options.add_arguments(serve)
    serve.set_defaults(command=_serve)

    predict = commands.add_parser(
        "predict",
        parents=[common],
        help="label images",
        description="Labels images by the model in production, or by a server's.",
    )
    predict.add_argument(
        "images", nargs="+", metavar="IMAGE", help="files, folders, or - for standard input"
    )
    predict.add_argument(
        "--url",
        help="ask this server instead of the model store: http://HOST:PORT, or"
        " http://HOST:PORT/v1/models/NAME[/versions/N|/labels/L]",
    )
    predict.add_argument(
        "--model-name", metavar="NAME", help="the model's name there (default: the config's)"
    )
    _add_config(predict)
    predict.add_argument("--json", action="store_true", help="print one JSON object")
    predict.set_defaults(command=_predict)

    rollback = commands.add_parser(
        "rollback",
        parents=[common],
        help="have an earlier version served",
        description="Pins serving to a version, through TF Serving's model config file beside the"
        " model store. New versions are pushed as before, but not served until --clear.",
    )
    _add_config(rollback)
    target = rollback.add_mutually_exclusive_group()
    target.add_argument(
        "--to",
        type=_natural,
        metavar="VERSION",
        help="the version to serve (default: the one before that which is served)",
    )
    target.add_argument("--clear", action="store_true", help="serve the newest version again")
    rollback.add_argument("--json", action="store_true", help="print one JSON object")
    rollback.set_defaults(command=_rollback)

    run_commands.add(commands, common, _DEFAULT_CONFIG)
    cluster_commands.add(commands, common, _DEFAULT_CONFIG)
    return parser


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config", metavar="FILE", help=f"the config (default: {_DEFAULT_CONFIG} in this folder)"
    )


def _natural(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text} is not a number of a span: 0, 1, 2, …")
    return int(text)


def _side(text: str) -> int:
    side = int(text)
    if side < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return side


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = 0.0
    if not 0 < share < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a share between 0 and 1")
    return share
