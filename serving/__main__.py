"""The server without the rest of the project: `python -m serving`."""

from __future__ import annotations

import argparse
import sys

from serving import options


def main() -> int:
    """Serves until it is told to stop; returns 2 where it is told something wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m serving", description=options.DESCRIPTION, allow_abbrev=False
    )
    options.add_arguments(parser)
    arguments = parser.parse_args()
    if (arguments.model_base_path is None) == (arguments.models_config is None):
        parser.error("give one of --model-base-path and --models-config")
    if arguments.model_name and arguments.models_config:
        parser.error("--model-name: give --model-base-path with it")
    # Heavy, and only needed once the arguments are known to be right.
    from serving import server
    from serving.errors import RefusedError

    try:
        server.run(options.from_arguments(arguments), as_json=arguments.json)
    except (RefusedError, OSError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
