"""Picks pictures of train for the page: some of each class, and those that drifted most."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from components.image_example_gen import naming
from components.report.gallery import ClassPictures, Drifted, Shown
from components.report.pictures import thumbnail
from components.span_drift.report import DriftReport
from trainer.features import FILENAME, IMAGE, LABEL, MEASURED, WHOLE
from trainer.input import parsed

_SPLIT = "train"
_OF_A_CLASS = 4
_CLASSES = 40
_OF_A_FEATURE = 6
# Shards are shuffled, so the first ones are a random sample; reading more takes over a minute.
_LOOKED_AT = 20_000
_SIDE = 112


@dataclass(frozen=True)
class _Candidate:
    image: bytes
    name: str
    label: int
    values: Mapping[str, float]


def pick(
    examples: str, labels: Sequence[str], drift: DriftReport | None
) -> tuple[tuple[ClassPictures, ...], tuple[Drifted, ...]]:
    """Picks pictures of train by class, and of each measure that drifted.

    Args:
        examples: folder of ImageExampleGen's examples.
        labels: class names; the index in this list is the class id.
        drift: SpanDrift's report; None if there is none.

    Returns:
        Pictures of the first 40 classes that have any; and for each drifted measure the pictures
        that are most beyond the earlier distribution, among 20,000 images at most.
    """
    rising = _rising(drift)
    by_class: dict[int, list[_Candidate]] = {}
    extremes: dict[str, list[tuple[float, int, _Candidate]]] = {name: [] for name in rising}
    wanted = min(len(labels), _CLASSES)
    for number, one in enumerate(_read(examples, tuple(rising))):
        kept = by_class.setdefault(one.label, [])
        if len(kept) < _OF_A_CLASS and one.label < wanted:
            kept.append(one)
        for name, rises in rising.items():
            if name in one.values:
                entry = (one.values[name] * (1 if rises else -1), -number, one)
                push = heapq.heappush if len(extremes[name]) < _OF_A_FEATURE else heapq.heappushpop
                push(extremes[name], entry)
        full = all(len(by_class.get(label, ())) == _OF_A_CLASS for label in range(wanted))
        if number + 1 >= _LOOKED_AT or (full and not rising):
            break
    classes = tuple(
        ClassPictures(labels[label], tuple(map(_shown, some)))
        for label, some in sorted(by_class.items())
        if some
    )
    return classes, tuple(
        Drifted(name, tuple(_shown(one, name) for _, _, one in sorted(found, reverse=True)))
        for name, found in extremes.items()
        if found
    )


def _rising(drift: DriftReport | None) -> dict[str, bool]:
    """Returns the measures that drifted, and whether each rose."""
    changes = drift.changes if drift is not None else ()
    return {one.feature: one.after > one.before for one in changes if one.feature in MEASURED}


def _read(examples: str, measures: Sequence[str]) -> Iterator[_Candidate]:
    kinds = {name: tf.int64 if name in WHOLE else tf.float32 for name in measures}
    features: dict[str, Any] = {name: tf.io.RaggedFeature(kind) for name, kind in kinds.items()}
    features[FILENAME] = tf.io.RaggedFeature(tf.string)
    for batch in parsed([f"{examples}/Split-{_SPLIT}/*"], features):
        names = batch[FILENAME].to_list()
        values = {name: batch[name].to_list() for name in measures}
        rows = zip(batch[IMAGE].numpy(), batch[LABEL].numpy(), names, strict=True)
        for row, (image, label, name) in enumerate(rows):
            numbers = {key: float(found[row][0]) for key, found in values.items() if found[row]}
            title = naming.readable(name[0]) if name else ""
            yield _Candidate(image, title, int(label), numbers)


def _shown(one: _Candidate, measure: str | None = None) -> Shown:
    value = None if measure is None else one.values[measure]
    return Shown(thumbnail(one.image, _SIDE), one.name, value)
