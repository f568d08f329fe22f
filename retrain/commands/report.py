"""`retrain report`: write the page of a run."""

from __future__ import annotations

import json
import webbrowser
from argparse import ArgumentParser, Namespace

from retrain.arguments import A_RUN, Commands, add_config, add_json, command
from retrain.environment import prepare_tensorflow
from retrain.exit_codes import DONE


def add(commands: Commands[ArgumentParser]) -> None:
    """Adds the command."""
    parser = command(
        commands, "report", _report, "write the page of a run: is it better, where is it wrong"
    )
    add_config(parser)
    parser.add_argument("run", nargs="?", metavar="RUN", help=f"{A_RUN} (default: the last run)")
    parser.add_argument("--open", action="store_true", help="open it in the browser")
    add_json(parser)


def _report(options: Namespace) -> int:
    from pipeline.config import load

    settings = load(options.config)
    prepare_tensorflow()
    from pipeline.history import page, runs

    history = runs.open_history(settings)
    run = runs.find(history, options.run)
    file = page.write(settings, history, run)
    print(json.dumps({"run": run, "path": str(file)}) if options.json else file)
    if options.open:
        webbrowser.open(file.resolve().as_uri())
    return DONE
