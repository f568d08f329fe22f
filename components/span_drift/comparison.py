"""Compares the statistics of two spans."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from components.span_drift.report import Change
from trainer.features import TEXT

Statistics: TypeAlias = statistics_pb2.DatasetFeatureStatisticsList
_Feature: TypeAlias = statistics_pb2.FeatureNameStatistics


def changes(
    before: Statistics,
    after: Statistics,
    features: Sequence[str],
    max_divergence: float,
    max_label_distance: float,
) -> list[Change]:
    """Measures with TensorFlow Data Validation which features drifted.

    Args:
        before: statistics of one split of the earlier span.
        after: statistics of the same split of the later span.
        features: names of the numeric features to compare, except for those that a span lacks.
        max_divergence: allowed Jensen-Shannon divergence of a numeric feature, in [0, 1].
        max_label_distance: allowed L-infinity distance of the labels: the largest change of one
            class's share, in [0, 1].

    Returns:
        The changes beyond these bounds, the largest in relation to its bound first.
    """
    earlier, later = _by_name(before), _by_name(after)
    both = earlier.keys() & later.keys()
    schema = schema_pb2.Schema()
    for name in sorted(both & set(features)):
        kind = schema_pb2.FLOAT if later[name].type == _Feature.FLOAT else schema_pb2.INT
        comparator = schema.feature.add(name=name, type=kind).drift_comparator
        comparator.jensen_shannon_divergence.threshold = max_divergence
    if TEXT in both:
        label = schema.feature.add(name=TEXT, type=schema_pb2.BYTES)
        label.drift_comparator.infinity_norm.threshold = max_label_distance
    found = []
    for info in tfdv.validate_statistics(after, schema, previous_statistics=before).drift_skew_info:
        (name,), measurement = info.path.step, info.drift_measurements[0]
        if measurement.value <= measurement.threshold:
            continue
        is_label = name == TEXT
        what, was, now = (_furthest if is_label else _mean)(earlier[name], later[name])
        measure = "L-infinity distance" if is_label else "Jensen-Shannon divergence"
        found.append(
            Change(name, measure, measurement.value, measurement.threshold, what, was, now)
        )
    return sorted(found, key=lambda change: (-change.value / change.threshold, change.feature))


def _by_name(statistics: Statistics) -> Mapping[str, _Feature]:
    (dataset,) = statistics.datasets
    return {feature.path.step[0]: feature for feature in dataset.features}


def _mean(before: _Feature, after: _Feature) -> tuple[str, float, float]:
    return "mean", before.num_stats.mean, after.num_stats.mean


def _furthest(before: _Feature, after: _Feature) -> tuple[str, float, float]:
    was, now = _shares(before), _shares(after)
    name = max(sorted(was | now), key=lambda label: abs(now.get(label, 0) - was.get(label, 0)))
    return f"share of {name}", was.get(name, 0.0), now.get(name, 0.0)


def _shares(feature: _Feature) -> dict[str, float]:
    buckets = feature.string_stats.rank_histogram.buckets
    total = sum(bucket.sample_count for bucket in buckets)
    return {bucket.label: bucket.sample_count / total for bucket in buckets}
