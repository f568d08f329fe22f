"""The settings that TensorFlow reads from the process when it loads."""

from __future__ import annotations

import os
import warnings


def prepare_tensorflow() -> None:
    """Sets variables that TensorFlow reads when it loads, unless the user has set them."""
    # TensorFlow's start-up messages would fill the terminal.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # On CPUs with AVX2, oneDNN embeds images about 1.6 times as fast as TensorFlow's own kernels;
    # TensorFlow turns it on only with AVX-512.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    # google-auth warns of the grpcio that TFX pins; a user cannot act on it.
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"google\.auth")
