"""What a command sets in its process, and how it loads TensorFlow."""

from __future__ import annotations

import os
import sys
import warnings


def prepare_file_names() -> None:
    """Starts the program again in Python's UTF-8 mode if it is told that file names are not UTF-8.

    Otherwise a locale such as `POSIX` or `de_DE.ISO-8859-1` makes names that configs and labels
    hold impossible or wrong. What the terminal shows stays in its own encoding.
    """
    if sys.getfilesystemencoding() == "utf-8" or os.environ.get("PYTHONUTF8") == "1":
        return
    terminal = {"PYTHONIOENCODING": sys.stdout.encoding}
    again = {**terminal, **os.environ, "PYTHONUTF8": "1"}
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], again)


def prepare_tensorflow() -> None:
    """Sets variables that TensorFlow reads when it loads, unless the user has set them."""
    # TensorFlow's start-up messages would fill the terminal.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # On CPUs with AVX2, oneDNN embeds images about 1.6 times as fast as TensorFlow's own kernels;
    # TensorFlow turns it on only with AVX-512.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    # google-auth warns of the grpcio that TFX pins; a user cannot act on it.
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"google\.auth")


def load_tensorflow() -> None:
    """Imports TensorFlow without its start-up messages.

    TensorFlow 2.21 writes some to standard error while it loads, whatever the level of its log.
    """
    prepare_tensorflow()
    sys.stderr.flush()
    terminal = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        import tensorflow  # noqa: F401
    finally:
        os.dup2(terminal, 2)
        os.close(terminal)
        os.close(nowhere)
