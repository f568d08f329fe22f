"""The config's evaluation section says the same in TFMA's terms."""

from __future__ import annotations

import json
from typing import Any

import pytest
import tensorflow_model_analysis as tfma

from components.evaluator.catalogue import METRICS
from components.evaluator.eval_config import eval_config
from components.evaluator.options import Evaluation
from tests.conftest import LABELS
from trainer.features import EVALUATION


def _config(**section: Any) -> tfma.EvalConfig:
    return eval_config(Evaluation.model_validate(section), LABELS)


def _thresholds(config: tfma.EvalConfig) -> dict[str, Any]:
    found = {}
    for spec in config.metrics_specs:
        for metric in spec.metrics:
            assert not metric.HasField("threshold"), "it would hold for every slice"
            for threshold in metric.per_slice_thresholds:
                # One slicing spec without keys: the whole split and no slice.
                assert [str(spec) for spec in threshold.slicing_specs] == [""]
                found[json.loads(metric.config)["name"]] = threshold.threshold
    return found


def test_every_metric_that_can_be_bounded_is_computed() -> None:
    metrics = [metric for spec in _config().metrics_specs for metric in spec.metrics]
    names = {json.loads(metric.config).get("name") for metric in metrics}
    assert set(METRICS) <= names


@pytest.mark.parametrize("metric", METRICS)
def test_bounds_become_value_thresholds(metric: str) -> None:
    config = _config(thresholds={"accuracy": None, metric: {"min": 0.25, "max": 0.75}})
    threshold = _thresholds(config)[metric].value_threshold
    assert (threshold.lower_bound.value, threshold.upper_bound.value) == (0.25, 0.75)


def test_an_open_bound_stays_open() -> None:
    threshold = _thresholds(_config(thresholds={"accuracy": {"min": 0.25}}))["accuracy"]
    assert threshold.value_threshold.HasField("lower_bound")
    assert not threshold.value_threshold.HasField("upper_bound")


@pytest.mark.parametrize("metric", METRICS)
def test_a_drop_is_measured_in_the_direction_in_which_the_metric_gets_worse(metric: str) -> None:
    config = _config(thresholds={"regression": {metric: {"max_drop": 0.125}}})
    change = _thresholds(config)[metric].change_threshold
    if METRICS[metric].lower_is_better:
        assert change.direction == tfma.MetricDirection.LOWER_IS_BETTER
        assert change.absolute.value == 0.125
    else:
        assert change.direction == tfma.MetricDirection.HIGHER_IS_BETTER
        assert change.absolute.value == -0.125


def test_a_metric_may_have_a_bound_and_a_drop() -> None:
    section = {"accuracy": {"min": 0.5}, "regression": {"accuracy": {"max_drop": 0.25}}}
    threshold = _thresholds(_config(thresholds=section))["accuracy"]
    assert threshold.value_threshold.lower_bound.value == 0.5
    assert threshold.change_threshold.absolute.value == -0.25


def test_metrics_without_limits_have_no_threshold() -> None:
    section = {"accuracy": {"min": 0.5}, "regression": {"accuracy": None}}
    assert set(_thresholds(_config(thresholds=section))) == {"accuracy"}


def test_slices_are_the_whole_the_classes_and_what_was_asked_for_once() -> None:
    config = _config(slices=["image/source", "image/class/text"])
    keys = [list(spec.feature_keys) for spec in config.slicing_specs]
    assert keys == [[], ["image/class/text"], ["image/source"]]


def test_the_model_is_asked_through_its_evaluation_signature() -> None:
    (model,) = _config().model_specs
    assert model.signature_name == EVALUATION
    assert model.label_key == "image/class/label"
    assert model.prediction_key == "probabilities"
