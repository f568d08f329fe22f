"""What TensorFlow and its companions read from the process before they load."""

from __future__ import annotations

import os
import warnings


def prepare_tensorflow() -> None:
    """Sets what TensorFlow reads from the environment when it loads, where the user has not."""
    # Its start-up messages would fill the terminal.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # TensorFlow turns oneDNN's kernels on only for CPUs with AVX-512; with AVX2, they embed images
    # about 1.6 times as fast as its own.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    # What google-auth says of the grpcio that TFX pins is nothing that a user could act on.
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"google\.auth")
