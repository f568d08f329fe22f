"""The config's section `serving`: how a server must answer before the model is pushed."""

from typing import Annotated

from pydantic import Field

from trainer.section import Section

_Positive = Annotated[float, Field(gt=0)]


class Serving(Section):
    """How a server must answer with a model before it is pushed."""

    images: int = Field(16, ge=1, le=1000)
    """How many images of the test split the server is asked for."""
    tolerance: float = Field(1e-3, gt=0, le=1)
    """How far a served probability may be from the one that the Evaluator saw."""
    p50_ms: _Positive | None = Field(None, examples=[200])
    """Longest median time of an answer to one image, in milliseconds; the pipeline's machine
    measures it, so leave room. Each image's best of up to five times counts. If only the wait for
    a processor is too long, the run fails instead of refusing the model."""
    p99_ms: _Positive | None = Field(None, examples=[1000])
    """Longest time of 99 of 100 answers to one image, in milliseconds; see `p50_ms`."""
    memory_mb: _Positive | None = 8192
    """Most memory that the server process may take, in MiB; null for any. ResNet50 took about
    5,300."""
    load_seconds: float = Field(180, gt=0)
    """Longest time from the server's start until the model is AVAILABLE. Time for which the server
    waits for a processor does not count, until ten times as long has passed. A later model fails
    the run and is not refused."""
