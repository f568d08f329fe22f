"""Prepares the Evaluator's results for the page: intervals, order, confusions, reliability."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from components.evaluator import evidence
from components.evaluator.catalogue import ON_THE_PAGE
from components.evaluator.evidence import Interval
from components.evaluator.predictions import Predictions
from components.evaluator.scorecard import ClassScore, Scorecard, examples
from components.report import bootstrap
from components.report.page import Bin, Confusion, Metric, SliceScore, Verdict
from components.serving_validator.check import ServingCheck
from trainer import calibration
from trainer.features import TEXT

_BY_CLASS = f"{TEXT}="
_CONFUSIONS = 10


def metrics(card: Scorecard, predictions: Predictions | None) -> tuple[Metric, ...]:
    """Returns the candidate's and production's metrics; no intervals if `predictions` is None."""
    own: Mapping[str, Interval] = {}
    differences: Mapping[str, Interval] = {}
    if predictions is not None and len(predictions.labels):
        models = [predictions.candidate]
        models += [predictions.production] if predictions.production else []
        (own, *_), differences = bootstrap.intervals(predictions.labels, *models)
    return tuple(
        Metric(
            name=metric.name,
            value=card.metrics[metric.name],
            interval=own.get(metric.name),
            production=card.production.get(metric.name) if card.production else None,
            difference=differences.get(metric.name),
            over=card.evidence.means(metric.name) if card.evidence else "",
        )
        for metric in ON_THE_PAGE
        if metric.name in card.metrics
    )


def classes(card: Scorecard) -> tuple[ClassScore, ...]:
    """Returns the classes by F1, the worst first; classes without an F1 come last."""
    return tuple(sorted(card.classes, key=lambda one: 2.0 if one.f1 is None else one.f1))


def slices(card: Scorecard) -> tuple[SliceScore, ...]:
    """Returns the slices by accuracy, the worst first, without the slices by class."""
    found = []
    for name, values in card.slices.items():
        if name.startswith(_BY_CLASS):
            continue
        images, accuracy = examples(values), values["accuracy"] or 0.0
        found.append(
            SliceScore(
                name=name,
                images=images,
                accuracy=accuracy,
                macro_f1=values["macro_f1"],
                interval=evidence.share(round(accuracy * images), images),
            )
        )
    return tuple(sorted(found, key=lambda one: one.accuracy))


def confusions(card: Scorecard) -> tuple[Confusion, ...]:
    """Returns the most frequent pairs of true class and other predicted class."""
    labels = [one.label for one in card.classes]
    matrix = np.array(card.confusion)
    images = matrix.sum(axis=1)
    np.fill_diagonal(matrix, 0)
    worst = np.argsort(-matrix, axis=None, kind="stable")[:_CONFUSIONS]
    pairs = [divmod(int(place), len(labels)) for place in worst]
    return tuple(
        Confusion(
            labels[truth],
            labels[prediction],
            int(matrix[truth, prediction]),
            float(matrix[truth, prediction] / images[truth]),
        )
        for truth, prediction in pairs
        if matrix[truth, prediction]
    )


def bins(predictions: Predictions) -> tuple[Bin, ...]:
    """Groups the candidate's predictions by the bins of the calibration error; omits empty bins."""
    score = predictions.candidate.score.astype(np.float64)
    right = predictions.candidate.prediction == predictions.labels
    places = calibration.bins(score)
    return tuple(
        Bin(
            images=int(inside.sum()),
            score=float(score[inside].mean()),
            accuracy=float(right[inside].mean()),
            interval=evidence.share(int(right[inside].sum()), int(inside.sum())),
        )
        for inside in (places == place for place in range(calibration.BINS))
        if inside.any()
    )


def verdict(
    card: Scorecard | None,
    found: Sequence[Metric],
    version: int | None,
    serving: ServingCheck | None,
) -> Verdict:
    """Returns the outcome of a complete run in one sentence, with the reasons of a refusal.

    Args:
        card: the Evaluator's outcome; None if there is none.
        found: the metrics from `metrics`.
        version: version as which the model was pushed; None if it was refused.
        serving: the ServingValidator's outcome; None if there is none.
    """
    judged = f": {_judged(card, found)}" if card else ""
    if version is not None:
        warning = card.evidence.warning() if card and card.evidence else ""
        first = f"{warning}. " if warning else ""
        return Verdict("pushed", f"{first}Version {version} was pushed{judged}.")
    reasons = (card.sentences if card else ()) + (serving.sentences if serving else ())
    return Verdict("refused", f"The model was refused{judged}.", reasons)


def _judged(card: Scorecard, found: Sequence[Metric]) -> str:
    (accuracy,) = (metric for metric in found if metric.name == "accuracy")
    images = examples(card.metrics)
    share = accuracy.value or 0.0
    text = f"it gets {100 * share:.1f}\N{NO-BREAK SPACE}% of {images:,} test images right"
    if card.evidence is not None and card.evidence.strength == "weak":
        text += f", weak evidence ({card.evidence.words().partition(',')[0]} of all such images)"
    if accuracy.production is None:
        return f"{text}, and there is no model in production yet"
    points = 100 * (share - accuracy.production)
    if accuracy.difference is not None and accuracy.difference.low <= 0 <= accuracy.difference.high:
        return f"{text}, which is no clear difference from production ({points:+.1f} points)"
    return f"{text}, {abs(points):.1f} points {'more' if points > 0 else 'less'} than production"
