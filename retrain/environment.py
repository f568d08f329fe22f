"""The settings that Python and TensorFlow read from the process when they start."""

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
