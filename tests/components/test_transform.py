"""Transform tells how many examples it is through with, and changes none of them."""

from __future__ import annotations

from pathlib import Path

import apache_beam as beam
import pyarrow as pa
import tensorflow as tf
import tensorflow_transform.beam as tft_beam
from apache_beam.testing import util
from tensorflow_transform.tf_metadata import dataset_metadata, schema_utils

from components.transform.component import _CountingPipeline
from trainer import progress


def test_examples_are_counted_as_they_are_transformed(tmp_path: Path) -> None:
    metadata = dataset_metadata.DatasetMetadata(
        schema_utils.schema_from_feature_spec({"x": tf.io.FixedLenFeature([], tf.float32)})
    )
    before = progress.counted("transformed")
    with _CountingPipeline() as pipeline, tft_beam.Context(temp_dir=str(tmp_path)):
        rows = pipeline | beam.Create([{"x": float(number)} for number in range(7)])
        function = (rows, metadata) | tft_beam.AnalyzeDataset(lambda inputs: {"y": -inputs["x"]})
        assert progress.counted("transformed") == before
        for split in ("train", "test"):
            label = f"Transform[{split}]"
            transformed, _ = ((rows, metadata), function) | label >> tft_beam.TransformDataset(
                output_record_batches=True
            )
            values = transformed | f"Values[{split}]" >> beam.FlatMap(_values)
            wanted = util.equal_to([-float(number) for number in range(7)])
            util.assert_that(values, wanted, label=f"Check[{split}]")
    assert progress.counted("transformed") - before == 2 * 7


def _values(batch: tuple[pa.RecordBatch, object]) -> list[float]:
    return [value for row in batch[0].column("y").to_pylist() for value in row]
