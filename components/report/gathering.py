"""Gathers the page's content from the artifacts of a run, even if the run did not finish."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow_data_validation as tfdv
from tfx.components.statistics_gen.executor import DEFAULT_FILE_NAME
from tfx.dsl.io import fileio
from tfx.utils import path_utils

from components.evaluator import predictions, scorecard
from components.evaluator.predictions import Predictions
from components.image_example_gen import intake
from components.report import doubtful, images, judgement, pictures, samples, training
from components.report.options import Card
from components.report.page import FeatureSummary, Made, Page, Served, Verdict
from components.serving_validator import check as serving_check
from components.span_drift import report as span_drift
from components.suspects.report import Suspects
from trainer.features import MEASURED

SPLIT = "train"
_PACKAGES = (
    "tfx",
    "tensorflow",
    "tensorflow-transform",
    "tensorflow-model-analysis",
    "tensorflow-data-validation",
    "keras",
    "apache-beam",
    "numpy",
    "pillow",
)
_LARGEST_MATRIX = 25
# A version is the Unix time of its push, unless somebody numbered the first ones by hand.
_FIRST_TIME = 1_000_000_000


@dataclass(frozen=True)
class Sources:
    """Folders of the artifacts of a run; "" if the run did not reach the component.

    Attributes:
        examples: ImageExampleGen's examples.
        statistics: StatisticsGen's statistics.
        drift: SpanDrift's report.
        transformed: Transform's examples.
        model_run: the Trainer's logs.
        model: the Trainer's model.
        evaluation: the Evaluator's evaluation.
        serving: the ServingValidator's blessing.
        production: version in production during the evaluation; None if there was none.
        pushed: version as which the candidate was pushed; None if it was not pushed.
    """

    examples: str = ""
    statistics: str = ""
    drift: str = ""
    transformed: str = ""
    model_run: str = ""
    model: str = ""
    evaluation: str = ""
    serving: str = ""
    production: int | None = None
    pushed: int | None = None


def gather(
    sources: Sources,
    *,
    name: str,
    run: str,
    labels: Sequence[str],
    card: Card,
    made: Made | None = None,
    ended: Verdict | None = None,
    suspected: Suspects | None = None,
) -> Page:
    """Reads the artifacts of a run into a page; missing artifacts leave its parts empty.

    Args:
        sources: folders of the artifacts.
        name: the pipeline's name.
        run: id of the run.
        labels: class names; the index in this list is the class id.
        card: the config's section `card`.
        made: config and versions of the run; None if they are not recorded.
        ended: verdict of a run that did not finish; None to derive the verdict from the artifacts.
        suspected: images whose labels may be wrong; None if nobody searched.
    """
    scores = _scorecard(sources.evaluation)
    predicted = predictions.read(sources.evaluation) if sources.evaluation else None
    found = judgement.metrics(scores, predicted) if scores else ()
    serving = serving_check.read(sources.serving) if sources.serving else None
    return Page(
        name=name,
        run=run,
        verdict=ended or judgement.verdict(scores, found, sources.pushed, serving),
        labels=tuple(labels),
        production=sources.production,
        metrics=found,
        features=_features(sources.statistics),
        serving=serving if serving and serving.p50_ms is not None else None,
        card=card,
        made=made,
        **(_scores(scores) if scores else {}),
        served=served(sources),
        **(_mistakes(predicted, sources, labels) if predicted else {}),
        **_data(sources, labels),
        **_training(sources.model_run),
        suspects=doubtful.pictures(sources.transformed, suspected, labels) if suspected else (),
    )


def _scores(card: scorecard.Scorecard) -> dict[str, Any]:
    matrix = np.array(card.confusion, float)
    shares = matrix / np.maximum(1, matrix.sum(axis=1, keepdims=True))
    small = len(matrix) <= _LARGEST_MATRIX
    return {
        "test_images": scorecard.examples(card.metrics),
        "evidence": card.evidence,
        "classes": judgement.classes(card),
        "slices": judgement.slices(card),
        "matrix": card.confusion if small else (),
        "heat_map": None if small else pictures.heat_map(shares),
        "confusions": judgement.confusions(card),
    }


def served(sources: Sources) -> Served | None:
    """Returns the version that is served when the run ends; None if there is none."""
    version = sources.production if sources.pushed is None else sources.pushed
    return None if version is None else Served(version, since(version), sources.pushed == version)


def since(version: int) -> float | None:
    """Returns when a version was published, in Unix time; None if its number does not tell."""
    return float(version) if version >= _FIRST_TIME else None


def _mistakes(found: Predictions, sources: Sources, labels: Sequence[str]) -> dict[str, Any]:
    if not len(found.labels):
        return {}
    model = path_utils.serving_model_path(sources.model) if sources.model else ""
    if not _exists(model, "saved_model.pb"):
        model = ""
    mistakes, compared = images.mistakes(sources.transformed, found, labels, model)
    return {
        "wrong": int((found.candidate.prediction != found.labels).sum()),
        "mistakes": mistakes,
        "compared": compared,
        "bins": judgement.bins(found),
    }


def _data(sources: Sources, labels: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if _exists(sources.drift, span_drift.FILE_NAME):
        text = _text(sources.drift, span_drift.FILE_NAME)
        found["drift"] = span_drift.DriftReport.from_json(text)
    if _exists(sources.examples, intake.FILE_NAME):
        found["data"] = intake.read(sources.examples)
        found["held"] = images.held(sources.examples)
        classes, drifted = samples.pick(sources.examples, labels, found.get("drift"))
        found |= {"samples": classes, "drifted": drifted}
    return found


def _training(logs: str) -> dict[str, Any]:
    if not logs:
        return {}
    return {
        "curves": training.curves(logs),
        "temperature": training.temperature(logs),
        "augmented": training.augmented(logs),
    }


def packages() -> dict[str, str]:
    """Returns the versions of Python and of the packages that affect the result, by name."""
    return {
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in _PACKAGES},
    }


def _exists(folder: str, name: str) -> bool:
    return bool(folder) and bool(fileio.exists(os.path.join(folder, name)))


def _text(folder: str, name: str) -> str:
    with fileio.open(os.path.join(folder, name), "rb") as file:
        text: str = file.read().decode("utf-8")
    return text


def _scorecard(evaluation: str) -> scorecard.Scorecard | None:
    if not _exists(evaluation, scorecard.FILE_NAME):
        return None
    return scorecard.Scorecard.from_json(_text(evaluation, scorecard.FILE_NAME))


def _features(statistics: str) -> tuple[FeatureSummary, ...]:
    folder = os.path.join(statistics, f"Split-{SPLIT}")
    if not statistics or not _exists(folder, DEFAULT_FILE_NAME):
        return ()
    (dataset,) = tfdv.load_stats_binary(os.path.join(folder, DEFAULT_FILE_NAME)).datasets
    by_name = {feature.path.step[0]: feature.num_stats for feature in dataset.features}
    found = []
    for name in MEASURED:
        if name not in by_name:
            continue
        numbers = by_name[name]
        quantiles = next(h for h in numbers.histograms if h.type == h.QUANTILES)
        found.append(
            FeatureSummary(
                name=name,
                mean=numbers.mean,
                # TFDV's quantile histogram has ten buckets.
                low=quantiles.buckets[0].high_value,
                median=numbers.median,
                high=quantiles.buckets[-1].low_value,
            )
        )
    return tuple(found)
