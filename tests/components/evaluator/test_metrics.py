"""The calibration error may be that of another output of the model."""

from __future__ import annotations

import numpy as np
import pytest
from tensorflow_model_analysis.metrics import metric_types
from tensorflow_model_analysis.proto import config_pb2

from components.evaluator import metrics


@pytest.mark.parametrize(
    ("output", "outputs", "error"),
    [
        (None, {"probabilities": [0.9, 0.1], "uncalibrated": [0.6, 0.4]}, 0.1),
        ("uncalibrated", {"probabilities": [0.9, 0.1], "uncalibrated": [0.6, 0.4]}, 0.4),
        ("uncalibrated", {"probabilities": [0.9, 0.1]}, 0.1),  # a model from before there was one
    ],
)
@pytest.mark.parametrize("model", ["", "candidate"])
def test_the_calibration_error_may_be_that_of_another_output(
    output: str | None, outputs: dict[str, list[float]], error: float, model: str
) -> None:
    predictions = {name: np.array(values) for name, values in outputs.items()}
    element = metric_types.StandardMetricInputs(
        labels=np.array([0]),
        predictions={model: predictions} if model else predictions,
        example_weights=np.array([1.0]),
    )
    config = config_pb2.EvalConfig(
        model_specs=[config_pb2.ModelSpec(name=model, prediction_key="probabilities")]
    )
    key = metric_types.MetricKey(name="error", model_name=model)
    combiner = metrics._CalibrationCombiner(key, config, output)
    accumulator = combiner.add_input(combiner.create_accumulator(), element)
    assert combiner.extract_output(accumulator)[key] == pytest.approx(error)
