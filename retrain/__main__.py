"""The command line: `retrain`, or `python -m retrain`.

A command imports heavy libraries itself, after it has checked its input: importing TFX takes
seconds, but `--help` or the message about a mistyped key should not.
"""

from __future__ import annotations

import argparse
import difflib
import errno
import sys
import traceback
from collections.abc import Callable, Sequence

from pipeline.data.escaping import printable
from retrain import commands, environment, terminal
from retrain.exit_codes import BAD_INPUT, INTERRUPTED, REFUSED


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command.

    Args:
        arguments: the command line without the program's name; the process's own by default.

    Returns:
        One of `retrain.exit_codes`.
    """
    if arguments is None:
        environment.prepare_file_names()
        arguments = sys.argv[1:]
    terminal.prepare()
    options = _parsed(arguments)
    action: Callable[[argparse.Namespace], int] = options.command
    try:
        return action(options)
    except KeyboardInterrupt:
        terminal.say("\ninterrupted; run it again to go on from the last finished step", error=True)
        return INTERRUPTED
    except ValueError as error:
        from pipeline.config import ConfigError

        mistake = isinstance(error, ConfigError)
        if options.debug or not mistake:
            traceback.print_exc()
        else:
            terminal.say(f"retrain: {error}", error=True)
        return BAD_INPUT if mistake else REFUSED
    except OSError as error:
        if options.debug:
            traceback.print_exc()
        where = f"{error.filename}: " if error.filename else ""
        advice = "; free some and run it again" if error.errno == errno.ENOSPC else ""
        terminal.say(f"retrain: {where}{error.strerror or error}{advice}", error=True)
        return BAD_INPUT


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """Parses the command line; of a mistyped command it says the nearest one, not all."""
    whole = parser()
    name = next(iter(arguments), "-")
    if not name.startswith("-") and name not in commands.NAMES:
        close = difflib.get_close_matches(name, commands.NAMES, n=1)
        hint = f"did you mean {close[0]}?" if close else "retrain --help lists the commands"
        whole.error(f"{printable(name)} is no command; {hint}")
    return whole.parse_args(arguments)


def parser() -> argparse.ArgumentParser:
    """Returns the parser of all commands; it sets `command` to the function that runs one."""
    whole = argparse.ArgumentParser(
        prog="retrain", description="Keeps an image classifier fresh.", allow_abbrev=False
    )
    commands.add(whole.add_subparsers(title="commands", required=True, metavar="COMMAND"))
    return whole


if __name__ == "__main__":
    sys.exit(main())
