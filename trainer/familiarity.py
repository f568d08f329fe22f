"""Familiarity: how near an image lies to those that the classifier learnt from.

A classifier names a class for every image, also for one of no class. How far an embedding lies from
train's tells such images. The distance is a sum of two, each of which finds what the other misses
(`python -m benchmarks.familiarity` measures them):

- The relative Mahalanobis distance to the nearest class (Ren et al., arXiv:2106.09022), on the
  principal components of train. It finds classes that look much like those learnt.
- What the principal components leave of an embedding, as in ViM (Wang et al., arXiv:2203.10807). It
  finds images of another kind, such as noise.

The familiarity of an image is the share of val that lies as far out or farther.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from sklearn.covariance import ledoit_wolf
from sklearn.utils.extmath import randomized_svd

Floats = npt.NDArray[np.float32]

_COMPONENTS = 64
# Bounds what the model grows by: 4 MiB of float32.
_LARGEST_BASIS = 2**20
# Share of the mean variance that is added to each: a feature that is 0 in nearly all of train would
# explode otherwise.
_FLOOR = 1e-2
# Rows measured at once; each meets all classes.
_ROWS = 256
# Points of val's distribution that the model keeps.
_POINTS = 512
# Share of val, its farthest, from which the tail beyond val is derived.
_TAIL = 0.25


@dataclass(frozen=True)
class Space:
    """What train says about distance. All arrays are float32.

    Attributes:
        mean: [dimension], of train's embeddings.
        scale: [dimension], the factor that gives each of their values a variance of about 1.
        basis: [dimension, components], principal components of what is scaled.
        within: [components, components], whitens the differences from class means.
        around: [components, components], whitens the differences from the mean of all.
        centers: [classes, components], means of the classes that occur in train, whitened.
    """

    mean: Floats
    scale: Floats
    basis: Floats
    within: Floats
    around: Floats
    centers: Floats

    def distances(self, embeddings: tf.Tensor) -> tf.Tensor:
        """Measures embeddings, float32 [batch, dimension].

        Returns the relative Mahalanobis distance and the squared residual, float32 [batch, 2].
        """
        scaled = (embeddings - self.mean) * self.scale
        inside = scaled @ self.basis
        steps = (inside @ self.within)[:, tf.newaxis] - self.centers
        nearest = tf.reduce_min(tf.reduce_sum(tf.square(steps), axis=2), axis=1)
        relative = nearest - tf.reduce_sum(tf.square(inside @ self.around), axis=1)
        outside = scaled - tf.matmul(inside, self.basis, transpose_b=True)
        return tf.stack([relative, tf.reduce_sum(tf.square(outside), axis=1)], axis=1)


@dataclass(frozen=True)
class Familiarity:
    """What train and val say about familiarity; `fit` makes it. All arrays are float32.

    Attributes:
        space: measures two distances.
        units: [2], the standard deviation of each in val; what is divided by them adds up.
        distances: [points], sums in val, ascending and all different.
        shares: [points], share of val that lies at each of them or farther out.
        tail: by how much distance the share falls to 1/e, beyond val's farthest.
    """

    space: Space
    units: Floats
    distances: Floats
    shares: Floats
    tail: float

    def rate(self, embeddings: tf.Tensor) -> tf.Tensor:
        """Returns the familiarity of embeddings, float32 [batch, dimension], as float32 [batch].

        It lies in [0, 1], and falls towards 0 beyond val.
        """
        distance = tf.reduce_sum(self.space.distances(embeddings) / self.units, axis=1)
        distances, shares = tf.constant(self.distances), tf.constant(self.shares)
        last = len(self.distances) - 1
        upper = tf.searchsorted(distances, distance, side="right")
        low, high = tf.maximum(upper - 1, 0), tf.minimum(upper, last)
        start, end = tf.gather(distances, low), tf.gather(distances, high)
        part = tf.clip_by_value(tf.math.divide_no_nan(distance - start, end - start), 0, 1)
        share = (1 - part) * tf.gather(shares, low) + part * tf.gather(shares, high)
        return share * tf.exp(-tf.maximum(distance - distances[last], 0) / self.tail)


def fit(train: Floats, labels: npt.NDArray[np.int64], val: Floats) -> Familiarity:
    """Learns what is familiar.

    Args:
        train: float32 [rows, dimension], embeddings of train.
        labels: int64 [rows], their class ids.
        val: float32 [rows, dimension], embeddings of images not learnt from.
    """
    space = _space(train, labels)
    starts = range(0, len(val), _ROWS)
    found = np.concatenate(
        [space.distances(tf.constant(val[start : start + _ROWS])).numpy() for start in starts]
    )
    spread = found.std(axis=0)
    units = np.where(spread > 0, spread, 1).astype(np.float32)
    distances, shares, tail = _distribution((found / units).sum(axis=1))
    return Familiarity(space, units, distances, shares, tail)


def _space(train: Floats, labels: npt.NDArray[np.int64]) -> Space:
    """Learns how to measure distances.

    Covariances are shrunk (Ledoit and Wolf, "A well-conditioned estimator for large-dimensional
    covariance matrices", 2004) and all classes share one, so that a few images a class do.
    """
    mean, variance = train.mean(axis=0), train.var(axis=0)
    scale = 1 / np.sqrt(variance + _FLOOR * (variance.mean() or 1.0))
    scaled = (train - mean) * scale
    components = max(1, min(_COMPONENTS, _LARGEST_BASIS // train.shape[1], *train.shape))
    _, _, rows = randomized_svd(scaled, components, random_state=0)
    inside = scaled @ rows.T
    classes, index = np.unique(labels, return_inverse=True)
    centers = np.stack([inside[index == one].mean(axis=0) for one in range(len(classes))])
    floor = _FLOOR * (inside.var(axis=0).mean() or 1.0)
    within, around = _whitening(inside - centers[index], floor), _whitening(inside, floor)
    return Space(mean, scale, rows.T.astype(np.float32), within, around, centers @ within)


def _whitening(rows: Floats, floor: float) -> Floats:
    """Returns the matrix by which differences are multiplied: [components, components]."""
    exact = rows.astype(np.float64)
    covariance, _ = ledoit_wolf(exact, assume_centered=True)
    values, vectors = np.linalg.eigh(covariance)
    whitening: Floats = (vectors / np.sqrt(np.maximum(values, floor))).astype(np.float32)
    return whitening


def _distribution(found: Floats) -> tuple[Floats, Floats, float]:
    """Returns distances, the share of `found` at each or farther out, and the tail's scale.

    Beyond the farthest, the share falls as the mean of the farthest quarter says: exponentially, as
    tails do that fall neither slower nor at once (Pickands, "Statistical inference using extreme
    order statistics", 1975). So what lies far enough out is unfamiliar, even to a val of ten.
    """
    ordered = np.sort(found)
    count = len(ordered)
    shares = (count - np.arange(count) - 0.5) / count
    farthest = max(1, round(_TAIL * count))
    start = ordered[max(0, count - farthest - 1)]
    tail = float((ordered[-farthest:] - start).mean())
    points = np.unique(np.round(np.linspace(0, count - 1, min(count, _POINTS))).astype(np.int64))
    distances, index = np.unique(ordered[points], return_inverse=True)
    means = np.bincount(index, shares[points]) / np.bincount(index)
    return distances, means.astype(np.float32), tail if tail > 0 else 1.0
