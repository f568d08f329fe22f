"""The command line: `retrain`, or `python -m retrain`.

A command imports heavy libraries itself, after it has checked its input: importing TFX takes
seconds, but `--help` or the message about a mistyped key should not.
"""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Callable, Sequence

from retrain import commands
from retrain.exit_codes import BAD_INPUT, INTERRUPTED, REFUSED


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command.

    Args:
        arguments: the command line without the program's name; the process's own by default.

    Returns:
        One of `retrain.exit_codes`.
    """
    options = parser().parse_args(arguments)
    action: Callable[[argparse.Namespace], int] = options.command
    try:
        return action(options)
    except KeyboardInterrupt:
        print("\ninterrupted; run it again to go on from the last finished step", file=sys.stderr)
        return INTERRUPTED
    except ValueError as error:
        from pipeline.config import ConfigError

        mistake = isinstance(error, ConfigError)
        if options.debug or not mistake:
            traceback.print_exc()
        else:
            print(f"retrain: {error}", file=sys.stderr)
        return BAD_INPUT if mistake else REFUSED
    except OSError as error:
        if options.debug:
            traceback.print_exc()
        where = f"{error.filename}: " if error.filename else ""
        print(f"retrain: {where}{error.strerror or error}", file=sys.stderr)
        return BAD_INPUT


def parser() -> argparse.ArgumentParser:
    """Returns the parser of all commands; it sets `command` to the function that runs one."""
    whole = argparse.ArgumentParser(
        prog="retrain", description="Keeps an image classifier fresh.", allow_abbrev=False
    )
    commands.add(whole.add_subparsers(title="commands", required=True, metavar="COMMAND"))
    return whole


if __name__ == "__main__":
    sys.exit(main())
