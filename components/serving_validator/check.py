"""The ServingValidator's outcome, stored as a JSON file in the blessing's folder."""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass

from tfx.dsl.io import fileio

FILE_NAME = "serving.json"
# The file's name before version 0.2.
_OLD_FILE_NAME = "report.json"


@dataclass(frozen=True)
class ServingCheck:
    """The result of sending real images to a server with the model.

    Attributes:
        reasons: a sentence for each failed check; the model may be pushed only if empty.
        p50_ms: median time of a request of one image, in milliseconds; None, as are the following
            fields, if the server failed.
        p99_ms: 99th percentile of these times, in milliseconds.
        memory_mb: the server's peak memory, in MiB.
    """

    reasons: tuple[str, ...]
    p50_ms: float | None = None
    p99_ms: float | None = None
    memory_mb: float | None = None

    @property
    def sentences(self) -> tuple[str, ...]:
        """Returns the reasons, each with the prefix "serving: "."""
        return tuple(f"serving: {reason}" for reason in self.reasons)

    def to_json(self) -> str:
        """Returns the check as JSON."""
        return json.dumps(dataclasses.asdict(self))


def read(folder: str) -> ServingCheck | None:
    """Reads the check from a blessing's folder; None if the folder holds none."""
    for name in (FILE_NAME, _OLD_FILE_NAME):
        path = os.path.join(folder, name)
        if fileio.exists(path):
            with fileio.open(path, "rb") as file:
                content = json.loads(file.read())
            return ServingCheck(**{**content, "reasons": tuple(content["reasons"])})
    return None
