"""The commands that look at what ran: report, lineage, compare, tensorboard."""

from __future__ import annotations

import argparse
import contextlib
import json
import threading
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.environment import prepare_tensorflow

if TYPE_CHECKING:
    from pipeline.config import Config
    from pipeline.history import History

_DONE = 0


def add(commands: argparse._SubParsersAction, common: argparse.ArgumentParser, config: str) -> None:  # type: ignore[type-arg]
    """Adds the commands.

    Args:
        commands: the command line's.
        common: what all commands take.
        config: the config's default file.
    """

    def command(name: str, text: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = commands.add_parser(
            name, parents=[common], help=text, description=f"{text[0].upper()}{text[1:]}."
        )
        parser.add_argument(
            "--config",
            metavar="FILE",
            default=config,
            help=f"the config (default: {config} in this folder)",
        )
        return parser

    a_run = "a run's id or how it begins, or a version that it pushed"

    report = command("report", "write the page of a run: is it better, where is it wrong")
    report.add_argument("run", nargs="?", metavar="RUN", help=f"{a_run} (default: the last run)")
    report.add_argument("--open", action="store_true", help="open it in the browser")
    report.add_argument("--json", action="store_true", help="print one JSON object")
    report.set_defaults(command=_report)

    lineage = command("lineage", "tell what a version was made of, or where a span went")
    which = lineage.add_mutually_exclusive_group(required=True)
    which.add_argument("version", nargs="?", type=int, metavar="VERSION", help="a pushed version")
    which.add_argument("--span", type=int, metavar="N", help="tell the versions that hold a span")
    lineage.add_argument("--json", action="store_true", help="print one JSON object")
    lineage.set_defaults(command=_lineage)

    compare = command("compare", "compare two runs: config, metrics, and images that changed")
    compare.add_argument("first", metavar="A", help=a_run)
    compare.add_argument("second", metavar="B", help="another one")
    compare.add_argument("--json", action="store_true", help="print one JSON object")
    compare.set_defaults(command=_compare)

    tensorboard = command("tensorboard", "start TensorBoard on the logs of all trainings")
    tensorboard.add_argument("--port", type=int, default=6006, help="(default: 6006)")
    tensorboard.add_argument("--open", action="store_true", help="open it in the browser")
    tensorboard.set_defaults(command=_tensorboard)


def _report(options: argparse.Namespace) -> int:
    settings, history = _opened(options)
    from pipeline import past_runs, run_report

    run = past_runs.find(history, options.run)
    file = run_report.write(settings, history, run)
    print(json.dumps({"run": run, "path": str(file)}) if options.json else file)
    if options.open:
        webbrowser.open(file.resolve().as_uri())
    return _DONE


def _lineage(options: argparse.Namespace) -> int:
    settings, history = _opened(options)
    from rich.console import Console

    from pipeline import lineage

    console = Console()
    if options.span is None:
        origin = lineage.of_version(settings, history, options.version)
        if options.json:
            print(lineage.as_json(origin))
        else:
            lineage.show(origin, console)
        return _DONE
    found = lineage.of_span(settings, history, options.span)
    if options.json:
        print(lineage.as_json(found))
    else:
        lineage.show_span(options.span, found, console)
    return _DONE


def _compare(options: argparse.Namespace) -> int:
    _, history = _opened(options)
    from rich.console import Console

    from pipeline import comparison, past_runs

    first, second = (past_runs.find(history, name) for name in (options.first, options.second))
    found = comparison.compare(history, first, second)
    if options.json:
        print(comparison.as_json(found))
    else:
        comparison.show(found, Console())
    return _DONE


def _tensorboard(options: argparse.Namespace) -> int:
    from pipeline import config

    logs = Path(config.load(options.config).output, "artifacts", "trainer", "model_run")
    if not logs.is_dir():
        raise config.ConfigError(
            f"{logs} does not exist: nothing has been trained yet; retrain run"
        )
    from tensorboard import program

    board = program.TensorBoard()
    board.configure(argv=["tensorboard", "--logdir", str(logs), "--port", str(options.port)])
    try:
        url = board.launch()
    except program.TensorBoardServerException as error:
        raise config.ConfigError(f"--port: {error}") from error
    print(f"TensorBoard shows all trainings at {url} until Ctrl-C", flush=True)
    if options.open:
        webbrowser.open(url)
    with contextlib.suppress(KeyboardInterrupt):
        threading.Event().wait()
    return _DONE


def _opened(options: argparse.Namespace) -> tuple[Config, History]:
    from pipeline import config

    settings = config.load(options.config)
    if config.is_remote(settings.output):
        raise config.ConfigError(f"output: found {settings.output}; allowed here: a local path")
    prepare_tensorflow()
    from pipeline import past_runs

    return settings, past_runs.open_history(settings)
