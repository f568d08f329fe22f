"""A gate's refusal, as data.

A gate raises `RefusedError`. TFX's launcher gets no exception whose text somebody reads later, but
a record, which it keeps in ML Metadata as the result of the execution. A refusal is no fault in the
code.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Callable, Sequence
from typing import Any

from tfx.proto.orchestration import execution_result_pb2

# The code of TFX's execution result; TFX itself uses codes of gRPC, which end at 16.
CODE = 64


@dataclasses.dataclass(frozen=True)
class Refusal:
    """Why a gate stops a run.

    Attributes:
        reasons: sentences, one for each thing that is wrong; at least one.
    """

    reasons: tuple[str, ...]

    def to_json(self) -> str:
        """Writes it as JSON."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Refusal:
        """Reads what `to_json` wrote."""
        return cls(tuple(json.loads(text)["reasons"]))


class RefusedError(RuntimeError):
    """A gate refuses to let the run go on; the reasons are the message, one a line."""

    def __init__(self, refusal: Refusal) -> None:
        """Keeps the record."""
        super().__init__("\n".join(refusal.reasons))
        self.refusal = refusal


def refuse(reasons: Sequence[str]) -> None:
    """Raises `RefusedError` if there is any reason to refuse; each is a sentence."""
    if reasons:
        raise RefusedError(Refusal(tuple(reasons)))


def as_result(do: Callable[..., None]) -> Callable[..., Any]:
    """Wraps an executor's `Do`: it returns a refusal to a launcher that reads the result.

    For any other caller, as on Kubeflow, `RefusedError` stays an error.
    """

    @functools.wraps(do)
    def returning(self: Any, *arguments: Any) -> execution_result_pb2.ExecutorOutput | None:
        try:
            do(self, *arguments)
        except RefusedError as refused:
            # Only TFX's own launcher names a place for the result, and reads what is returned.
            if self._context is None or self._context.executor_output_uri is None:
                raise
            result = execution_result_pb2.ExecutionResult(
                code=CODE, result_message=refused.refusal.to_json()
            )
            return execution_result_pb2.ExecutorOutput(execution_result=result)
        return None

    return returning
