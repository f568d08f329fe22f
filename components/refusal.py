"""A gate's refusal, as data.

A gate does not fail by an exception whose text somebody reads later: it returns a record, which
TFX keeps in ML Metadata as the result of the execution. A refusal is no fault in the code.
"""

from __future__ import annotations

import abc
import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_executor
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
    """A gate refused where nobody reads what its executor returns, as on Kubeflow."""

    def __init__(self, refusal: Refusal) -> None:
        """Keeps the record; its reasons are the message, one a line."""
        super().__init__("\n".join(refusal.reasons))
        self.refusal = refusal


class Gate(base_executor.BaseExecutor, abc.ABC):
    """An executor that lets a run go on, or refuses it."""

    @abc.abstractmethod
    def judge(
        self,
        inputs: Mapping[str, list[types.Artifact]],
        outputs: Mapping[str, list[types.Artifact]],
        parameters: Mapping[str, Any],
    ) -> Sequence[str]:
        """Returns the reasons to refuse, each a sentence; none lets the run go on."""

    def Do(  # noqa: N802, the name is TFX's
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> execution_result_pb2.ExecutorOutput | None:
        """Judges, and returns a refusal as TFX's execution result.

        Raises:
            RefusedError: the gate refuses, and runs under no launcher that reads the result.
        """
        reasons = self.judge(input_dict, output_dict, exec_properties)
        if not reasons:
            return None
        refusal = Refusal(tuple(reasons))
        # Only TFX's own launcher names a place for the result, and reads what is returned.
        if self._context is None or self._context.executor_output_uri is None:
            raise RefusedError(refusal)
        return execution_result_pb2.ExecutorOutput(
            execution_result=execution_result_pb2.ExecutionResult(
                code=CODE, result_message=refusal.to_json()
            )
        )
