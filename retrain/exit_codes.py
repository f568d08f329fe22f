"""The exit codes of `retrain`."""

DONE = 0
REFUSED = 1  # the pipeline refused the data or the model, or failed
BAD_INPUT = 2  # argparse exits with this code too
INTERRUPTED = 130  # what shells report for SIGINT: 128 + 2
