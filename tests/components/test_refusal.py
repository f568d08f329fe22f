"""A refusal reaches TFX's launcher as a result, and others as an error that carries it."""

from __future__ import annotations

from typing import Any

import pytest
from tfx.dsl.components.base.base_executor import BaseExecutor

from components.refusal import CODE, Refusal, RefusedError, as_result, refuse


class Strict(BaseExecutor):
    """Refuses what it is told to."""

    @as_result
    def Do(  # noqa: N802, the name is TFX's
        self, _inputs: Any, _outputs: Any, parameters: dict[str, Any]
    ) -> None:
        refuse(parameters["reasons"])


def test_without_a_reason_the_run_goes_on() -> None:
    assert Strict().Do({}, {}, {"reasons": []}) is None


def test_a_launcher_gets_the_record_as_the_result() -> None:
    context = BaseExecutor.Context(executor_output_uri="somewhere")
    output = Strict(context).Do({}, {}, {"reasons": ["Traceback: no", "zwei\nZeilen"]})
    assert output is not None
    assert output.execution_result.code == CODE
    told = Refusal.from_json(output.execution_result.result_message)
    assert told == Refusal(("Traceback: no", "zwei\nZeilen"))


@pytest.mark.parametrize("context", [None, BaseExecutor.Context()])
def test_without_such_a_launcher_it_is_raised(context: BaseExecutor.Context | None) -> None:
    with pytest.raises(RefusedError, match="a\nb") as caught:
        Strict(context).Do({}, {}, {"reasons": ["a", "b"]})
    assert caught.value.refusal == Refusal(("a", "b"))
