"""TFX's Transform, which here reports its progress: it is the longest step of most runs.

TFX itself reports nothing before the step ends. The data comes out as from TFX's own.
"""

from __future__ import annotations

from typing import Any

import apache_beam as beam
import pyarrow as pa
import tensorflow_transform.beam as tft_beam
from tfx.components.transform import component, executor
from tfx.dsl.components.base.executor_spec import BeamExecutorSpec

from trainer import progress


class Executor(executor.Executor):
    """TFX's executor on a Beam pipeline that counts images."""

    def _make_beam_pipeline(self) -> beam.Pipeline:
        return _CountingPipeline(argv=self._beam_pipeline_args)


class Transform(component.Transform):
    """TFX's component, with the executor above."""

    EXECUTOR_SPEC = BeamExecutorSpec(Executor)


class _CountingPipeline(beam.Pipeline):
    """A Beam pipeline that counts the examples that the preprocessing function transforms."""

    def apply(self, transform: Any, pvalueish: Any = None, label: str | None = None) -> Any:
        result = super().apply(transform, pvalueish, label)
        # For a label, Beam calls this method again inside, and that call counts.
        if label is not None or not isinstance(transform, tft_beam.TransformDataset):
            return result
        examples, metadata = result
        return examples | f"Count[{transform.label}]" >> beam.Map(_counted), metadata


def _counted(batch: tuple[pa.RecordBatch, Any]) -> tuple[pa.RecordBatch, Any]:
    progress.count(progress.TRANSFORMED, batch[0].num_rows)
    return batch
