"""`python -m serving`: the server, without the rest of the project."""

from __future__ import annotations

import argparse
import sys

from serving import options, ports


def main() -> int:
    """Serves until a signal; returns 0, or 2 if a config is wrong or a port is not free."""
    parser = argparse.ArgumentParser(
        prog="python -m serving", description=options.DESCRIPTION, allow_abbrev=False
    )
    options.add_arguments(parser)
    arguments = parser.parse_args()
    if (arguments.model_base_path is None) == (arguments.models_config is None):
        parser.error("give one of --model-base-path and --models-config")
    if arguments.model_name and arguments.models_config:
        parser.error("--model-name: give --model-base-path with it")
    chosen = options.from_arguments(arguments)
    try:
        ports.check(chosen)
    except OSError as error:
        parser.error(str(error))
    print(f"{parser.prog}: importing TensorFlow", file=sys.stderr, flush=True)
    # Heavy, so imported only once the arguments are right.
    from serving import server
    from serving.errors import ServingError

    try:
        server.run(chosen, as_json=arguments.json)
    except (ServingError, OSError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
