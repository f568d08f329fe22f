"""TFX's Transform, extended to report progress: it is the longest step of most runs.

TFX itself reports nothing before the step ends. The output is that of TFX's own Transform.
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
    """TFX's executor, on a Beam pipeline that counts transformed images."""

    def _make_beam_pipeline(self) -> beam.Pipeline:
        return _CountingPipeline(argv=self._beam_pipeline_args)


class Transform(component.Transform):
    """TFX's component, with an executor that counts images."""

    EXECUTOR_SPEC = BeamExecutorSpec(Executor)


class _CountingPipeline(beam.Pipeline):
    """A Beam pipeline that counts the examples that the preprocessing function transforms."""

    def apply(self, transform: Any, pvalueish: Any = None, label: str | None = None) -> Any:
        result = super().apply(transform, pvalueish, label)
        # If a label is given, Beam calls this method again without it; only that call counts.
        if label is not None or not isinstance(transform, tft_beam.TransformDataset):
            return result
        examples, metadata = result
        return examples | f"Count[{transform.label}]" >> beam.Map(_counted), metadata


def _counted(batch: tuple[pa.RecordBatch, Any]) -> tuple[pa.RecordBatch, Any]:
    progress.count(progress.TRANSFORMED, batch[0].num_rows)
    return batch
