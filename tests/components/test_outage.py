"""Memory that runs out is the machine's doing; any other error stays as it is."""

from __future__ import annotations

import pytest
import tensorflow as tf

from components import outage
from components.outage import OutageError


@pytest.mark.parametrize(
    "error", [MemoryError(), tf.errors.ResourceExhaustedError(None, None, "no memory\ntrace")]
)
def test_memory_that_runs_out_is_an_outage_in_one_line(error: Exception) -> None:
    with pytest.raises(OutageError, match=r"to load: out of memory.*run again") as raised:  # noqa: SIM117
        with outage.memory_is_the_machine_s("to load"):
            raise error
    assert "\n" not in str(raised.value)


def test_another_error_stays() -> None:
    with pytest.raises(KeyError), outage.memory_is_the_machine_s("to load"):
        raise KeyError("a")
