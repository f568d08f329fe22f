"""The ServingValidator's outcome: a JSON file in the folder of its blessing."""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass

from tfx.dsl.io import fileio

FILE_NAME = "serving.json"
# The name before version 0.2.
_OLD_FILE_NAME = "report.json"


@dataclass(frozen=True)
class ServingCheck:
    """How a server answered with a model.

    Attributes:
        reasons: what is wrong, a sentence each; none lets the model be pushed.
        p50_ms: median time of a request of one image, in milliseconds; None where the server gave
            no answer.
        p99_ms: 99th percentile of that.
        memory_mb: the server's peak memory in MiB.
    """

    reasons: tuple[str, ...]
    p50_ms: float | None = None
    p99_ms: float | None = None
    memory_mb: float | None = None

    @property
    def sentences(self) -> tuple[str, ...]:
        """Returns the reasons, each with the name of the check."""
        return tuple(f"serving: {reason}" for reason in self.reasons)

    def to_json(self) -> str:
        """Writes it as JSON."""
        return json.dumps(dataclasses.asdict(self))


def read(folder: str) -> ServingCheck | None:
    """Reads the check from the folder of a blessing; None where there is none."""
    for name in (FILE_NAME, _OLD_FILE_NAME):
        path = os.path.join(folder, name)
        if fileio.exists(path):
            with fileio.open(path, "rb") as file:
                content = json.loads(file.read())
            return ServingCheck(**{**content, "reasons": tuple(content["reasons"])})
    return None
