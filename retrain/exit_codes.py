"""What the exit codes of `retrain` mean."""

DONE = 0
REFUSED = 1  # the pipeline refused the data or the model, or failed
BAD_INPUT = 2  # argparse ends with it too
INTERRUPTED = 130  # what shells report for SIGINT: 128 + 2
