"""How a gate, a component that can stop a run, hands its reasons to the launcher.

A gate raises `RefusedError`. A refusal is no fault in the code, so TFX's launcher gets no exception
but a `Refusal` as JSON, which it stores in ML Metadata as the execution's result.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Callable, Sequence
from typing import Any

from tfx.proto.orchestration import execution_result_pb2

# The refusal's code in TFX's execution result; TFX itself uses gRPC's codes, which end at 16.
CODE = 64


@dataclasses.dataclass(frozen=True)
class Refusal:
    """Why a gate stops a run.

    Attributes:
        reasons: a sentence for each reason; at least one.
    """

    reasons: tuple[str, ...]

    def to_json(self) -> str:
        """Returns the refusal as JSON."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Refusal:
        """Reads the JSON of `to_json`."""
        return cls(tuple(json.loads(text)["reasons"]))


class RefusedError(RuntimeError):
    """Stops the run at a gate; the message has one reason per line."""

    def __init__(self, refusal: Refusal) -> None:
        """Stores the refusal and makes its reasons the message."""
        super().__init__("\n".join(refusal.reasons))
        self.refusal = refusal


def refuse(reasons: Sequence[str]) -> None:
    """Raises `RefusedError` if there are any reasons; each is a sentence."""
    if reasons:
        raise RefusedError(Refusal(tuple(reasons)))


def as_result(do: Callable[..., None]) -> Callable[..., Any]:
    """Wraps an executor's `Do` so that it returns a refusal instead of raising `RefusedError`.

    Only TFX's own launcher reads returned results; elsewhere, as on Kubeflow, the error is raised.
    """

    @functools.wraps(do)
    def returning(self: Any, *arguments: Any) -> execution_result_pb2.ExecutorOutput | None:
        try:
            do(self, *arguments)
        except RefusedError as refused:
            # Only TFX's own launcher sets `executor_output_uri`, and reads the returned result.
            if self._context is None or self._context.executor_output_uri is None:
                raise
            result = execution_result_pb2.ExecutionResult(
                code=CODE, result_message=refused.refusal.to_json()
            )
            return execution_result_pb2.ExecutorOutput(execution_result=result)
        return None

    return returning
