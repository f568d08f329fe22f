"""Builds TFMA's config from the config's section `evaluation` and the catalogue of metrics."""

from __future__ import annotations

import json
from collections.abc import Sequence

import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.proto import config_pb2

from components.evaluator.catalogue import CATALOGUE, OWN, Metric, Tfma
from components.evaluator.options import Evaluation, Thresholds
from trainer.features import EVALUATION, LABEL, PROBABILITIES, TEXT, UNCALIBRATED

# TFMA also computes these for the scorecard; the config has no limits for them.
_COUNTED = (
    Tfma("ExampleCount"),
    Tfma("MultiClassConfusionMatrixAtThresholds", {"thresholds": [0.0]}),
    Tfma("ClassScores", module=OWN),
    Tfma(
        "ExpectedCalibrationError",
        {"name": "expected_calibration_error_uncalibrated", "output": UNCALIBRATED},
        module=OWN,
    ),
)
# With more classes, the counts behind the AUC of each would take over 0.1 GB.
_AUC_CLASSES = 200


def eval_config(evaluation: Evaluation, labels: Sequence[str]) -> tfma.EvalConfig:
    """Builds TFMA's config: the metrics, the slices and the thresholds that TFMA checks.

    Args:
        evaluation: the config's section `evaluation`.
        labels: class names; the index in this list is the class id.
    """
    metrics = [_limited(metric, evaluation.thresholds) for metric in CATALOGUE]
    metrics += [_metric(counted) for counted in _COUNTED]
    features = dict.fromkeys((TEXT, *evaluation.slices))
    return config_pb2.EvalConfig(
        model_specs=[
            config_pb2.ModelSpec(
                signature_name=EVALUATION,
                label_key=LABEL,
                prediction_key=PROBABILITIES,
            )
        ],
        slicing_specs=[
            config_pb2.SlicingSpec(),
            *(config_pb2.SlicingSpec(feature_keys=[feature]) for feature in features),
        ],
        metrics_specs=[config_pb2.MetricsSpec(metrics=metrics), *_auc(len(labels))],
    )


def _auc(classes: int) -> list[config_pb2.MetricsSpec]:
    """Returns the specs of the AUC of each class; empty if there are too many classes.

    TFMA holds four counts for each threshold, class and slice, and each class is also a slice.
    """
    if classes > _AUC_CLASSES:
        return []
    return [
        config_pb2.MetricsSpec(
            metrics=[_metric(Tfma("AUC", {"num_thresholds": min(1000, 20_000 // classes)}))],
            binarize=config_pb2.BinarizationOptions(
                class_ids=config_pb2.RepeatedInt32Value(values=range(classes))
            ),
        )
    ]


def _metric(tfma_metric: Tfma, **name: str) -> config_pb2.MetricConfig:
    return config_pb2.MetricConfig(
        class_name=tfma_metric.class_name,
        module=tfma_metric.module,
        config=json.dumps({**tfma_metric.options, **name}),
    )


def _limited(metric: Metric, thresholds: Thresholds) -> config_pb2.MetricConfig:
    """Returns TFMA's config of a metric, with the thresholds that the config sets for it."""
    config = _metric(metric.tfma, name=metric.name)
    bound = thresholds.limits().get(metric.name)
    drop = thresholds.regression.limits().get(metric.name)
    if bound is None and drop is None:
        return config
    # A threshold without a slicing spec would hold for every slice.
    limit = config.per_slice_thresholds.add(slicing_specs=[config_pb2.SlicingSpec()]).threshold
    if bound is not None and bound.min is not None:
        limit.value_threshold.lower_bound.value = bound.min
    if bound is not None and bound.max is not None:
        limit.value_threshold.upper_bound.value = bound.max
    if drop is not None:
        direction = tfma.MetricDirection
        limit.change_threshold.direction = (
            direction.LOWER_IS_BETTER if metric.lower_is_better else direction.HIGHER_IS_BETTER
        )
        limit.change_threshold.absolute.value = (
            drop.max_drop if metric.lower_is_better else -drop.max_drop
        )
    return config
