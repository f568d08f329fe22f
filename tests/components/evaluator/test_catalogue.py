"""Each metric of the catalogue is what numpy and scikit-learn say, in TFMA and in the bootstrap."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.metrics import precision_recall_fscore_support

from components.evaluator.catalogue import METRICS
from components.evaluator.predictions import Ints, Predicted
from components.evaluator.sample import Sample, Scored

Floats = npt.NDArray[np.float64]


def _top(probabilities: Floats, labels: Ints, k: int) -> float:
    best = np.argsort(-probabilities, axis=1)[:, :k]
    return float((best == labels[:, None]).any(axis=1).mean())


def _macro(probabilities: Floats, labels: Ints, score: int) -> float:
    scores = precision_recall_fscore_support(
        labels, probabilities.argmax(axis=1), average="macro", zero_division=0
    )
    return float(scores[score])


def calibration_error(probabilities: Floats, labels: Ints) -> float:
    """Equation 3 of arXiv:1706.04599, bin by bin."""
    confidence = probabilities.max(axis=1).astype(float)
    right = probabilities.argmax(axis=1) == labels
    error = 0.0
    for low in np.arange(15) / 15:
        inside = (confidence >= low) & (confidence < low + 1 / 15)
        if inside.any():
            error += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    return error


# What each metric is, from float [images, classes] and int [images].
EXPECTED: dict[str, Callable[[Floats, Ints], float]] = {
    "accuracy": lambda found, labels: float((found.argmax(axis=1) == labels).mean()),
    "top_3_accuracy": lambda found, labels: _top(found, labels, 3),
    "macro_precision": lambda found, labels: _macro(found, labels, 0),
    "macro_recall": lambda found, labels: _macro(found, labels, 1),
    "macro_f1": lambda found, labels: _macro(found, labels, 2),
    "expected_calibration_error": calibration_error,
}


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("classes", [2, 7])
def test_a_sample_that_draws_each_image_once_has_the_plain_metric(name: str, classes: int) -> None:
    random = np.random.default_rng(classes)
    labels = random.integers(0, classes, 300).astype(np.int32)
    probabilities = random.dirichlet(np.ones(classes), 300)
    truth = probabilities[np.arange(300), labels]
    predicted = Predicted(
        prediction=probabilities.argmax(axis=1).astype(np.int32),
        score=probabilities.max(axis=1).astype(np.float32),
        truth_score=truth.astype(np.float32),
        rank=(probabilities > truth[:, None]).sum(axis=1).astype(np.int32),
    )
    scored = Scored(labels, predicted)
    once = METRICS[name].measure(Sample(scored, np.ones(300, np.int64)))
    assert once == pytest.approx(EXPECTED[name](probabilities, labels), abs=1e-6)
    # An image that counts twice is there twice.
    counts = random.integers(0, 3, 300)
    drawn = np.repeat(np.arange(300), counts)
    assert METRICS[name].measure(Sample(scored, counts)) == pytest.approx(
        EXPECTED[name](probabilities[drawn], labels[drawn]), abs=1e-6
    )


def test_reading_the_catalogue_loads_neither_tensorflow_nor_numpy() -> None:
    code = (
        "import sys, components.evaluator.options;"
        "sys.exit(', '.join({'tensorflow', 'tfx', 'numpy'} & set(sys.modules)) or 0)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
