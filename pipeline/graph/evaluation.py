"""The config's `evaluation` section in TFMA's terms."""

from __future__ import annotations

import json
from collections.abc import Sequence

import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.proto import config_pb2

from components.evaluator import metrics
from components.evaluator.scorecard import SliceBounds
from pipeline.config import Evaluation, Thresholds
from trainer.features import EVALUATION, LABEL, PROBABILITIES, TEXT, UNCALIBRATED

# A model is worse when these rise.
LOWER_IS_BETTER = frozenset({"expected_calibration_error"})

# With more classes, the counts behind the AUC of each would take over 0.1 GB.
_AUC_CLASSES = 200


def eval_config(evaluation: Evaluation, labels: Sequence[str]) -> tfma.EvalConfig:
    """Builds what TFMA computes and which thresholds it checks.

    Args:
        evaluation: the config's section.
        labels: class names; the index in this list is the class id.
    """
    own = metrics.__name__
    overall = config_pb2.MetricsSpec(
        metrics=[
            _metric("ExampleCount"),
            _metric("SparseCategoricalAccuracy", name="accuracy"),
            _metric("SparseTopKCategoricalAccuracy", name="top_3_accuracy", k=3),
            _metric("MultiClassConfusionMatrixAtThresholds", thresholds=[0.0]),
            _metric("ClassScores", module=own, classes=len(labels)),
            *(
                _metric("MacroAverage", module=own, classes=len(labels), name=f"macro_{score}")
                for score in metrics.SCORES
            ),
            _metric("ExpectedCalibrationError", module=own, name="expected_calibration_error"),
            _metric(
                "ExpectedCalibrationError",
                module=own,
                name="expected_calibration_error_uncalibrated",
                output=UNCALIBRATED,
            ),
        ]
    )
    for metric in overall.metrics:
        name = json.loads(metric.config).get("name", "")
        threshold = _threshold(evaluation.thresholds, name)
        if threshold is not None:
            # A threshold without a slicing spec would hold for every slice.
            metric.per_slice_thresholds.add(
                slicing_specs=[config_pb2.SlicingSpec()], threshold=threshold
            )
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
        metrics_specs=[overall, *_auc(len(labels))],
    )


def slice_bounds(evaluation: Evaluation) -> SliceBounds:
    """Says what slices must reach: nothing, unless the config has `each_slice`."""
    section = evaluation.thresholds.each_slice
    if section is None:
        return SliceBounds()
    return SliceBounds(
        min_examples=section.min_examples,
        bounds={name: (bound.min, bound.max) for name, bound in section.limits().items()},
    )


def _auc(classes: int) -> list[config_pb2.MetricsSpec]:
    """Asks for each class's AUC, if there are not too many classes.

    TFMA holds four counts for each threshold, class and slice, and there is a slice by class.
    """
    if classes > _AUC_CLASSES:
        return []
    return [
        config_pb2.MetricsSpec(
            metrics=[_metric("AUC", num_thresholds=min(1000, 20_000 // classes))],
            binarize=config_pb2.BinarizationOptions(
                class_ids=config_pb2.RepeatedInt32Value(values=range(classes))
            ),
        )
    ]


def _metric(class_name: str, *, module: str = "", **options: object) -> config_pb2.MetricConfig:
    return config_pb2.MetricConfig(class_name=class_name, module=module, config=json.dumps(options))


def _threshold(thresholds: Thresholds, name: str) -> config_pb2.MetricThreshold | None:
    bound = thresholds.limits().get(name)
    drop = thresholds.regression.limits().get(name)
    if bound is None and drop is None:
        return None
    threshold = config_pb2.MetricThreshold()
    if bound is not None and bound.min is not None:
        threshold.value_threshold.lower_bound.value = bound.min
    if bound is not None and bound.max is not None:
        threshold.value_threshold.upper_bound.value = bound.max
    if drop is not None and name in LOWER_IS_BETTER:
        threshold.change_threshold.direction = tfma.MetricDirection.LOWER_IS_BETTER
        threshold.change_threshold.absolute.value = drop.max_drop
    elif drop is not None:
        threshold.change_threshold.direction = tfma.MetricDirection.HIGHER_IS_BETTER
        threshold.change_threshold.absolute.value = -drop.max_drop
    return threshold
