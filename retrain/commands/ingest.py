"""Turn images into a span of TFRecords."""

from __future__ import annotations

import warnings
from argparse import ArgumentParser, Namespace
from pathlib import Path

from retrain import terminal
from retrain.arguments import features, natural, positive
from retrain.environment import prepare_tensorflow
from retrain.exit_codes import DONE, REFUSED


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
    from pipeline.data.ingest import spans_there
    from pipeline.data.ingest.find import find
    from pipeline.data.ingest.sources import alike

    root = Path(options.output)
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
    source = find(options.source, options.features, allow_outside=options.allow_outside)

    prepare_tensorflow()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of Google's libraries about others
        from pipeline.data.ingest import span_writer
        from pipeline.local import progress

    console = terminal.console(stderr=True)
    for line in (*source.told, *alike(source.labels)):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    written = span_writer.write(
        source,
        root,
        number,
        span_writer.Options(options.max_side, options.overwrite, tuple(options.beam)),
        watch=lambda seen: progress.counted(console, "Writing images", source.count, seen),
    )
    for name, reason in written.rejects:
        console.print(f"  {name}: {reason}", markup=False, highlight=False, soft_wrap=True)
    where = f" (see {written.path / span_writer.REJECTS})" if written.rejected else ""
    terminal.say(f"{written.path}: {written.images} images, {written.rejected} rejected{where}")
    return REFUSED if written.rejected else DONE
