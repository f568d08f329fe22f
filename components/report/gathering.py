"""Gathers a page from what the components of a run wrote, as far as they got."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow_data_validation as tfdv
from tfx.components.statistics_gen.executor import DEFAULT_FILE_NAME
from tfx.dsl.io import fileio

from components.evaluator import predictions, scorecard
from components.image_example_gen import intake
from components.report import images, judgement, pictures, training
from components.report.page import FeatureSummary, Page, Serving, Verdict
from components.serving_validator.component import REPORT_FILE
from components.span_drift import report as span_drift
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


@dataclass(frozen=True)
class Sources:
    """Folders of artifacts; "" where a component was not reached, and then nothing may lie there.

    Attributes:
        examples: ImageExampleGen's.
        statistics: StatisticsGen's.
        drift: SpanDrift's.
        transformed: Transform's examples.
        model_run: the Trainer's logs.
        evaluation: the Evaluator's.
        serving: the ServingValidator's blessing.
        production: version that the candidate was compared with; None if there was none.
        pushed: version under which the model stands; None if it was not pushed.
    """

    examples: str = ""
    statistics: str = ""
    drift: str = ""
    transformed: str = ""
    model_run: str = ""
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
    ended: Verdict | None = None,
) -> Page:
    """Reads all there is.

    Args:
        sources: where it lies.
        name: the pipeline's.
        run: the run's id.
        labels: class names; the index in this list is the class id.
        ended: how the run ended, where it did not go through.
    """
    card = _card(sources.evaluation)
    answers = predictions.read(sources.evaluation) if sources.evaluation else None
    found = judgement.metrics(card, answers) if card else ()
    serving, reasons = _serving(sources.serving)
    shown: dict[str, Any] = {}
    if card:
        matrix = np.array(card.confusion, float)
        shares = matrix / np.maximum(1, matrix.sum(axis=1, keepdims=True))
        small = len(labels) <= _LARGEST_MATRIX
        shown |= {
            "test_images": round(card.metrics[scorecard.EXAMPLE_COUNT]),
            "classes": judgement.classes(card),
            "slices": judgement.slices(card),
            "matrix": card.confusion if small else (),
            "heat_map": None if small else pictures.heat_map(shares),
            "confusions": judgement.confusions(card),
        }
    if answers is not None and len(answers.labels):
        wrong = int((answers.candidate.guess != answers.labels).sum())
        mistakes, compared = images.mistakes(sources.transformed, answers, labels)
        bins = judgement.bins(answers)
        shown |= {"wrong": wrong, "mistakes": mistakes, "compared": compared, "bins": bins}
    if _exists(sources.examples, intake.FILE_NAME):
        shown |= {
            "data": intake.read(sources.examples),
            "held": images.held(sources.examples),
        }
    if _exists(sources.drift, span_drift.FILE_NAME):
        text = _text(sources.drift, span_drift.FILE_NAME)
        shown["drift"] = span_drift.DriftReport.from_json(text)
    if sources.model_run:
        shown |= {
            "curves": training.curves(sources.model_run),
            "temperature": training.temperature(sources.model_run),
            "augmented": training.augmented(sources.model_run),
        }
    return Page(
        name=name,
        run=run,
        verdict=ended or judgement.verdict(card, found, sources.pushed, reasons),
        labels=tuple(labels),
        production=sources.production,
        metrics=found,
        features=_features(sources.statistics),
        serving=serving,
        **shown,
    )


def packages() -> dict[str, str]:
    """Returns the versions of what decides what comes out."""
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


def _card(evaluation: str) -> scorecard.Scorecard | None:
    if not _exists(evaluation, scorecard.FILE_NAME):
        return None
    return scorecard.Scorecard.from_json(_text(evaluation, scorecard.FILE_NAME))


def _serving(folder: str) -> tuple[Serving | None, Sequence[str]]:
    if not _exists(folder, REPORT_FILE):
        return None, ()
    found = json.loads(_text(folder, REPORT_FILE))
    numbers = [found[key] for key in ("p50_ms", "p99_ms", "memory_mb")]
    return None if None in numbers else Serving(*numbers), found["reasons"]


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
                # TFDV cuts the values into ten.
                low=quantiles.buckets[0].high_value,
                median=numbers.median,
                high=quantiles.buckets[-1].low_value,
            )
        )
    return tuple(found)
