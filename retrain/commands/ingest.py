"""Turn images into a span of TFRecords."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import traceback
import warnings
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.data.escaping import one_line
from retrain import terminal
from retrain.arguments import DEFAULT_CONFIG, features, natural, positive
from retrain.environment import prepare_tensorflow
from retrain.exit_codes import DONE, INTERRUPTED, REFUSED

if TYPE_CHECKING:
    from rich.console import Console

    from pipeline.data.ingest.span_writer import Written


def add(parser: ArgumentParser) -> None:
    """Adds the command's options."""
    parser.add_argument(
        "source",
        nargs="+",
        help="a folder of class folders, which may lie in train, test and val folders; a CSV, TSV,"
        " JSONL or Parquet file of path, label and columns to slice by; TFRecord files or a folder"
        " of them; 'digits'; or tfds:NAME of TensorFlow Datasets",
    )
    parser.add_argument("--output", required=True, metavar="DIR", help="the config's data.root")
    parser.add_argument(
        "--span", type=natural, metavar="N", help="number of the span (default: the next one)"
    )
    parser.add_argument(
        "--features",
        type=features,
        default={},
        metavar="KEY=NAME,...",
        help="what TFRecords call image, label and text (null for none), and label_base, the number"
        " of the first class, such as image=img,label=kind,label_base=1 (default: guessed)",
    )
    parser.add_argument(
        "--allow-outside",
        action="store_true",
        help="let a table list files outside its folder",
    )
    parser.add_argument(
        "--max-side",
        type=positive,
        metavar="PIXELS",
        help="shrink images whose longer side is over this (default: never)",
    )
    parser.add_argument(
        "--beam",
        action="append",
        default=[],
        metavar="OPTION",
        help="an option for Beam, such as --beam=--runner=FlinkRunner; may be given again",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the span if it is there")
    parser.add_argument("--if-missing", action="store_true", help="do nothing if it is there")


def act(options: Namespace) -> int:
    """Runs the command and returns its exit code."""
    from pipeline.config import ConfigError, is_remote
    from pipeline.data.ingest import publication, spans_there

    root = Path(options.output)
    if root.exists() and not root.is_dir():
        raise ConfigError(f"--output: {root} is no folder; allowed: a folder, or a new path")
    publication.recover(root)
    there = spans_there(root)
    number = options.span if options.span is not None else max(there, default=-1) + 1
    if options.if_missing and (options.span in there if options.span is not None else there):
        terminal.say(
            f"{root} holds span {', '.join(str(span) for span in sorted(there))}: nothing to do"
        )
        return DONE
    if number in there and not options.overwrite:
        raise ConfigError(
            f"{root}/span-{number} exists; choose another --span, or replace it by --overwrite"
        )
    if is_remote(options.output):
        raise ConfigError(
            f"--output: found {options.output}; allowed: a folder that can be renamed"
        )
    return _ingest(options, root, number)


def _ingest(options: Namespace, root: Path, number: int) -> int:
    from pipeline.data.ingest import publication
    from pipeline.history import failure

    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    # TensorFlow's, Beam's and libjpeg's messages go nowhere; this copy still leads to the terminal.
    with os.fdopen(
        os.dup(2), "w", encoding=sys.stderr.encoding, errors="backslashreplace"
    ) as shown:
        try:
            written = _written(options, root, number, terminal.console(shown))
        except (Exception, KeyboardInterrupt) as error:
            if failure.interrupted(error):
                terminal.say("interrupted; no span was written", error=True)
                return INTERRUPTED
            if options.debug:
                raise
            terminal.say(f"retrain: {_cause(error, root)}", error=True)
            return REFUSED
        finally:
            signal.signal(signal.SIGTERM, before)
    for name, reason in written.rejects:
        terminal.say(f"  {one_line(name)}: {one_line(reason)}", error=True)
    for notice in written.notices:
        terminal.say(notice, error=True)
    where = f" (see {written.path / publication.REJECTS})" if written.rejected else ""
    terminal.say(f"{written.path}: {written.images} images, {written.rejected} rejected{where}")
    if Path(DEFAULT_CONFIG).exists():
        terminal.say(f"next: retrain run --config {DEFAULT_CONFIG}", error=True)
    else:
        terminal.say(f"next: retrain init writes a config; data.root is {root}", error=True)
    return REFUSED if written.rejected else DONE


def _cause(error: BaseException, root: Path) -> str:
    """Returns why an ingest failed, in a line; raises what is the caller's input, not a failure."""
    from pipeline.config import ConfigError
    from pipeline.history import failure

    told = "".join(traceback.format_exception(error))
    full = failure.full_disk(told)
    if full:
        # The hidden folder that was full is gone by now.
        return failure.no_space(str(root)) if str(root) in told else full
    if isinstance(error, OSError) and _is_output(error, root):
        raise ConfigError(f"--output: {root} cannot be written: {error.strerror}") from None
    if isinstance(error, (ConfigError, OSError)):
        raise error
    return failure.cause(told)


def _is_output(error: OSError, root: Path) -> bool:
    """Returns whether an error is about the data root, what lies in it, or a parent of it."""
    where = Path(os.fsdecode(error.filename)) if error.filename else None
    return where is not None and (where.is_relative_to(root) or root.is_relative_to(where))


def _written(options: Namespace, root: Path, number: int, console: Console) -> Written:
    from pipeline.local import logs, progress

    quiet = contextlib.nullcontext() if options.debug else logs.captured(Path(os.devnull))
    with quiet:
        with progress.spinning(console, "starting"), warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of Google's libraries about others
            from pipeline.data.ingest.find import find
            from pipeline.data.ingest.sources import alike

            source = find(options.source, options.features, allow_outside=options.allow_outside)
            prepare_tensorflow()
            from pipeline.data.ingest import span_writer

        for line in (*source.told, *alike(source.labels)):
            console.print(one_line(line), markup=False, highlight=False, soft_wrap=True)
        return span_writer.write(
            source,
            root,
            number,
            span_writer.Options(options.max_side, options.overwrite, tuple(options.beam)),
            watch=lambda seen: progress.counted(console, "Writing images", source.count, seen),
        )
