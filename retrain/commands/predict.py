"""Label images.

The labels come from the model in production, or from a server's. What the model cannot read, such
as WebP and TIFF, is converted as `retrain ingest` does it. In a folder, hidden files are passed
over, and files that are no images are told. A broken image has an error and costs no other its
label; the exit code is then 2.
"""

from __future__ import annotations

import contextlib
import json
import os
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.data.escaping import one_line
from retrain import arguments, labelling, terminal
from retrain.arguments import DEFAULT_CONFIG
from retrain.environment import prepare_tensorflow
from retrain.exit_codes import BAD_INPUT, DONE, REFUSED
from trainer.features import UNFAMILIAR_BELOW

if TYPE_CHECKING:
    from retrain.labelling import Labelled
    from serving.client import Prediction


def add(parser: ArgumentParser) -> None:
    """Adds the command's options."""
    arguments.add(parser, "--config", "--json")
    parser.set_defaults(config=None)  # so that the command knows whether it is given
    parser.add_argument(
        "images", nargs="+", metavar="IMAGE", help="files, folders, or - for standard input"
    )
    parser.add_argument(
        "--url",
        help="ask this server instead of the model store: http://HOST:PORT, or"
        " http://HOST:PORT/v1/models/NAME[/versions/N|/labels/L]",
    )
    parser.add_argument(
        "--model-name", metavar="NAME", help="the model's name there (default: the config's)"
    )


def act(options: Namespace) -> int:
    """Runs the command and returns its exit code."""
    from pipeline.config import ConfigError
    from pipeline.local import logs
    from serving import client

    if options.model_name and not options.url:
        raise ConfigError("--model-name: give --url with it")
    # Of a damaged file, libjpeg and Pillow tell more on standard error than its verdict here.
    quiet = contextlib.nullcontext() if options.debug else logs.captured(Path(os.devnull))
    try:
        with quiet:
            found, source, version = _asked(options)
    except OSError as error:
        raise ConfigError(str(error)) from error
    except client.UnansweredError as error:
        terminal.say(f"retrain: {error}", error=True)
        return REFUSED
    if options.json:
        terminal.say(_as_json(found, source, version))
    else:
        _show(found)
    return BAD_INPUT if any(one.error for one in found.predictions) else DONE


def _asked(options: Namespace) -> tuple[Labelled, str, int | None]:
    """Returns what the model says, the server's URL or the model store, and the version there."""
    from pipeline.config import load
    from serving import client

    prepare_tensorflow()  # with a server too, as EXIF is read by TensorFlow
    if options.url is None:
        store = load(options.config or DEFAULT_CONFIG).model_store
        files = labelling.find(options.images)
        from components import model_config

        predict, version = client.local(store, model_config.pinned(store))
        return labelling.label(files, predict), store, version
    files = labelling.find(options.images)
    name = options.model_name
    if name is None and "/v1/models/" not in options.url:
        name = _model_name(options.config)
    return labelling.label(files, client.remote(options.url, name)), options.url, None


def _model_name(config: str | None) -> str | None:
    """Returns the model's name in a config, by default the one in this folder, if it is there."""
    from pipeline.config import load

    if config is None and not Path(DEFAULT_CONFIG).exists():
        return None
    return load(config or DEFAULT_CONFIG).model_name


def _as_json(found: Labelled, source: str, version: int | None) -> str:
    """Returns the output of `--json`; `source` is the server's URL or the model store."""
    return json.dumps(
        {
            "model": {"source": source, "version": version},
            "unfamiliar_below": UNFAMILIAR_BELOW,
            "predictions": [
                {
                    "image": one.image,
                    "label": one.label,
                    "score": one.score,
                    "probabilities": list(one.probabilities),
                    "familiarity": one.familiarity,
                    "unfamiliar": _unfamiliar(one),
                }
                for one in found.predictions
                if one.error is None
            ],
            "errors": [
                {"image": one.image, "error": one.error} for one in found.predictions if one.error
            ],
            "converted": list(found.converted),
            "passed_over": [
                {"image": name, "reason": reason} for name, reason in found.passed_over
            ],
        }
    )


def _unfamiliar(prediction: Prediction) -> bool | None:
    """Returns whether the image lies farther from train than nearly all of val did.

    None if the model does not tell.
    """
    near = prediction.familiarity
    return None if near is None else near < UNFAMILIAR_BELOW


def _show(found: Labelled) -> None:
    """Prints a table of labels and scores, and all else on standard error."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("image", overflow="fold")
    table.add_column("label")
    table.add_column("score", justify="right")
    if any(one.familiarity is not None for one in found.predictions):
        table.add_column("familiarity", justify="right")
        table.add_column("")
    for one in found.predictions:
        if one.error is None:
            row = [escape(one_line(one.image)), escape(one.label), f"{one.score:.4f}"]
            if one.familiarity is not None:
                row += [f"{one.familiarity:.3f}", "unfamiliar" if _unfamiliar(one) else ""]
            table.add_row(*row)
    if table.row_count:
        terminal.console().print(table)
    lines = [
        f"{one_line(one.image)}: {one.error}" for one in found.predictions if one.error is not None
    ]
    lines += [f"{one_line(name)}: passed over: {reason}" for name, reason in found.passed_over]
    if found.converted:
        lines.append(f"{len(found.converted)} converted, as retrain ingest does it")
    told = terminal.console(stderr=True)
    for line in lines:
        told.print(line, markup=False, highlight=False, soft_wrap=True)
