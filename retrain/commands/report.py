"""Write the page of a run: is it better, where is it wrong."""

from __future__ import annotations

import json
import webbrowser
from argparse import ArgumentParser, Namespace

from retrain import arguments, terminal
from retrain.arguments import A_RUN
from retrain.environment import load_tensorflow
from retrain.exit_codes import DONE


def add(parser: ArgumentParser) -> None:
    """Adds the command's options."""
    arguments.add(parser, "--config", "--json")
    parser.add_argument("run", nargs="?", metavar="RUN", help=f"{A_RUN} (default: the last run)")
    parser.add_argument("--open", action="store_true", help="open it in the browser")


def act(options: Namespace) -> int:
    """Runs the command and returns its exit code."""
    from pipeline.config import load

    settings = load(options.config)
    load_tensorflow()
    from pipeline.history import page, runs

    history = runs.open_history(settings)
    run = runs.find(history, options.run)
    written = page.write(settings, history, run)
    if options.json:
        told = {"path": str(written.path), "kept": written.kept, "gone": written.gone}
        terminal.say(json.dumps({"run": run, **told}))
    else:
        terminal.say(written.path)
        if written.gone:
            terminal.say(written.sentence(), error=True)
    if options.open:
        webbrowser.open(written.path.resolve().as_uri())
    return DONE
