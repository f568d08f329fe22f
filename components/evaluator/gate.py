"""What the confusion matrix alone shows: evidence, untested classes, and constant answers.

These bounds need no threshold in the config. A model that answers one class to everything fails
them, whatever the shares of the classes are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from scipy.stats import binom

from components.evaluator.class_scores import SCORES, ClassCounts, Floats
from components.evaluator.evidence import Evidence, FewImages, share, strength
from components.evaluator.options import Evaluation
from components.evaluator.scorecard import EVERYWHERE, FailedThreshold
from components.image_example_gen.label_forms import listed

_CONFIDENCE = 0.95


def evidence(matrix: Floats, labels: Sequence[str], needed: int) -> Evidence:
    """Sums up how much the test split shows.

    Args:
        matrix: images [true class, predicted class].
        labels: class names; the index in this list is the class id.
        needed: number of test images that a class needs to count as tested.
    """
    counts = ClassCounts.of_matrix(matrix)
    images = round(counts.actual.sum())
    accuracy = share(round(counts.hits.sum()), images)
    return Evidence(
        images=images,
        accuracy=accuracy,
        strength=strength(accuracy),
        classes=len(labels),
        needed=needed,
        untested=tuple(
            FewImages(label, round(count))
            for label, count in zip(labels, counts.actual, strict=True)
            if count < needed
        ),
        averaged={
            f"macro_{score}": round(np.isfinite(counts.scores[score]).sum()) for score in SCORES
        },
    )


def failed(
    matrix: Floats, labels: Sequence[str], evaluation: Evaluation
) -> tuple[FailedThreshold, ...]:
    """Returns the bounds of tested classes and of constant answers that a model fails.

    Args:
        matrix: images [true class, predicted class].
        labels: class names; the index in this list is the class id.
        evaluation: the config's section `evaluation`.
    """
    counts = ClassCounts.of_matrix(matrix)
    found: list[FailedThreshold] = []
    if evaluation.untested == "refuse":
        found += _untested(evidence(matrix, labels, evaluation.min_class_images))
    if evaluation.beat_majority:
        found += _no_better_than_constant(counts, labels)
        found += _never_right(counts, labels, evaluation.min_class_images)
    return tuple(found)


def _untested(shown: Evidence) -> Iterator[FailedThreshold]:
    if shown.untested:
        yield FailedThreshold(
            "tested_classes",
            EVERYWHERE,
            float(shown.classes - len(shown.untested)),
            float(shown.classes),
            "untested",
            words=f"{shown.warning()}. Add images of them, give data.splits.test a larger share, or"
            " set evaluation.untested to tell to push without",
        )


def needed_to_beat(images: int, majority: int) -> int:
    """Returns how many images must be right to show that a model beats a constant answer.

    It is the lowest number that rejects "the model is right as often as the constant" in a
    one-sided exact binomial test at 95 %; larger than `images` if no number does.

    Args:
        images: number of test images.
        majority: number of them that belong to the most frequent class.
    """
    return int(binom.ppf(_CONFIDENCE, images, majority / images)) + 1


def _no_better_than_constant(
    counts: ClassCounts, labels: Sequence[str]
) -> Iterator[FailedThreshold]:
    images, right = round(counts.actual.sum()), round(counts.hits.sum())
    if not images:
        return
    most = int(counts.actual.argmax())
    majority = round(counts.actual[most])
    needed = needed_to_beat(images, majority)
    if right >= needed:
        return
    constant = f"answering {labels[most]} to everything gets {majority} right"
    words = (
        f"accuracy on {EVERYWHERE}: {right} of {images} test images are right, and {constant};"
        f" to show that the model is better, {needed} must be (one-sided binomial test, 95 %)"
    )
    if needed > images:
        words = (
            f"accuracy on {EVERYWHERE}: {right} of {images} test images are right, and {constant};"
            " so few images of other classes cannot show that a model is better"
        )
    yield FailedThreshold(
        "accuracy", EVERYWHERE, right / images, needed / images, "majority", words=words
    )


def _never_right(
    counts: ClassCounts, labels: Sequence[str], needed: int
) -> Iterator[FailedThreshold]:
    if not needed:
        return
    tested = counts.actual >= needed
    missed = np.flatnonzero(tested & (counts.hits == 0))
    if not len(missed):
        return
    names = [f"{labels[place]} (0 of {round(counts.actual[place])})" for place in missed.tolist()]
    total = round(tested.sum())
    yield FailedThreshold(
        "found_classes",
        EVERYWHERE,
        float(total - len(missed)),
        float(total),
        "missed",
        words=f"not one image is right of {len(missed)} of the {total} classes with enough test"
        f" images: {listed(names)}",
    )
