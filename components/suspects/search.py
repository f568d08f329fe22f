"""Finds wrong labels by what other images say: confident learning.

Northcutt et al., "Confident Learning: Estimating Uncertainty in Dataset Labels", arXiv:1911.00068,
as `cleanlab` implements it, whose authors are the method's. A classifier that has not seen an image
names its class with a probability, by cross-validation. How often confident answers contradict
labels tells how many labels of each class are wrong, and those in whose labels the classifier
believes least are suspect.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from cleanlab.filter import find_label_issues
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.utils.extmath import randomized_svd

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

# Measured by `python -m benchmarks.suspects`: more components or a weaker penalty take longer and
# find no more.
_COMPONENTS = 256
_STRENGTH = 5.0  # of the fit by the penalty, whatever the number of images
_FOLDS = 5
_ITERATIONS = 200
# A fold learns from about so many images, and the components from as many, so that a large set
# takes minutes and not hours.
_LEARNT = 20_000
_SEED = 0
_FLOOR = 1e-2  # as in `trainer.familiarity`


@dataclass(frozen=True)
class Doubt:
    """A row whose label is suspect.

    Attributes:
        row: its number.
        suggested: class id of the most probable class.
        confidence: probability of its own label, in [0, 1].
    """

    row: int
    suggested: int
    confidence: float


def doubts(embeddings: Floats, labels: Ints) -> list[Doubt]:
    """Finds the rows whose labels are suspect, the most suspect first.

    A class with a single image cannot be judged and is left out.

    Args:
        embeddings: float32 [rows, dimension].
        labels: int64 [rows], class ids.
    """
    classes, index, counts = np.unique(labels, return_inverse=True, return_counts=True)
    judged = np.flatnonzero(counts[index] > 1)
    classes, index = np.unique(labels[judged], return_inverse=True)
    if len(classes) < 2:
        return []
    found = _probabilities(_projected(embeddings[judged]), index)
    # A suggestion that is the label itself would suggest nothing.
    other = found.argmax(axis=1) != index
    rows = find_label_issues(
        index,
        found,
        filter_by="low_self_confidence",
        return_indices_ranked_by="self_confidence",
        n_jobs=1,
    )
    return [
        Doubt(int(judged[row]), int(classes[found[row].argmax()]), float(found[row, index[row]]))
        for row in rows
        if other[row]
    ]


def _projected(embeddings: Floats) -> Floats:
    """Projects embeddings to their principal components, which fit into less memory."""
    random = np.random.default_rng(_SEED)
    rows = np.sort(random.permutation(len(embeddings))[:_LEARNT])
    mean, variance = embeddings[rows].mean(axis=0), embeddings[rows].var(axis=0)
    scale = 1 / np.sqrt(variance + _FLOOR * (variance.mean() or 1.0))
    sample = (embeddings[rows] - mean) * scale
    components = min(_COMPONENTS, *sample.shape)
    _, _, basis = randomized_svd(sample, components, random_state=_SEED)
    matrix = (scale[:, np.newaxis] * basis.T).astype(np.float32)
    projected: Floats = embeddings @ matrix - mean @ matrix
    return projected


def _probabilities(rows: Floats, labels: Ints) -> npt.NDArray[np.float64]:
    """Returns each row's probabilities by a classifier that was not shown it: [rows, classes]."""
    random = np.random.default_rng(_SEED)
    counts = np.bincount(labels)
    found = np.zeros((len(rows), len(counts)))
    folds = StratifiedKFold(min(_FOLDS, counts.max()), shuffle=True, random_state=_SEED)
    with warnings.catch_warnings():
        # A class may have fewer images than there are folds, and the last digits do not matter.
        warnings.simplefilter("ignore")
        for learnt, asked in folds.split(rows, labels):
            # Each class must be learnt, however rare it is.
            _, first = np.unique(labels[learnt], return_index=True)
            sample = np.union1d(random.permutation(learnt)[:_LEARNT], learnt[first])
            model = LogisticRegression(C=_STRENGTH / len(sample), max_iter=_ITERATIONS)
            model.fit(rows[sample], labels[sample])
            found[np.ix_(asked, model.classes_)] = model.predict_proba(rows[asked])
    return found
