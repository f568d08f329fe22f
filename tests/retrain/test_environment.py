"""Loading TensorFlow leaves the terminal as it was."""

from __future__ import annotations

import subprocess
import sys

_PROGRAM = """
import sys
from retrain.environment import load_tensorflow
load_tensorflow()
import tensorflow as tf
assert int(tf.constant(1) + 1) == 2
print("told", file=sys.stderr)
"""


def test_tensorflow_loads_without_a_word_and_what_comes_later_is_told() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("", "told\n")
