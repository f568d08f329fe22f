"""Runs ImageExampleGen's steps on files, without TFX around them."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import apache_beam as beam
import tensorflow as tf

from components.image_example_gen import intake, quarantine
from components.image_example_gen.bring_in import bring_in as add_steps
from components.image_example_gen.options import Rules
from components.image_example_gen.quarantine import Quarantined
from components.image_example_gen.splits import Cut
from components.tfrecord_file import masked_checksum
from tests.conftest import LABELS

SPLITS = ("train", "val", "test")
CUT = Cut(SPLITS, (60, 20, 20))


@dataclass(frozen=True)
class BroughtIn:
    """What came out: clean examples by split, the quarantine and the intake."""

    splits: Mapping[str, Sequence[tf.train.Example]]
    quarantine: Sequence[Quarantined]
    intake: intake.Intake

    @property
    def reasons(self) -> list[str]:
        return sorted(one.reason for one in self.quarantine)

    def images(self, split: str) -> list[bytes]:
        return sorted(value(example, "image/encoded") for example in self.splits[split])


def framed(records: Sequence[bytes]) -> bytes:
    """Returns the content of a TFRecord file."""
    parts = []
    for record in records:
        length = struct.pack("<Q", len(record))
        parts += [length, struct.pack("<I", masked_checksum(length))]
        parts += [record, struct.pack("<I", masked_checksum(record))]
    return b"".join(parts)


def write(path: Path, records: Sequence[bytes]) -> Path:
    """Writes a TFRecord file, gzipped if its name says so."""
    content = framed(records)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def bring_in(
    folder: Path,
    out: Path,
    rules: Rules | None = None,
    cut: Cut | None = None,
    patterns: Mapping[str, Sequence[str]] | None = None,
) -> BroughtIn:
    """Brings in what lies in `folder/{split}`, or in `folder` if a cut is given.

    `patterns` is input split -> globs of its files, if they lie elsewhere.
    """
    if patterns is None:
        patterns = {"all": [f"{folder}/*"]} if cut else {s: [f"{folder}/{s}/*"] for s in SPLITS}
    with beam.Pipeline() as pipeline:
        add_steps(
            pipeline,
            patterns=patterns,
            cut=cut,
            names=SPLITS,
            rules=rules or Rules(labels=LABELS),
            span=3,
            folder=str(out),
        )
    return BroughtIn(
        splits={
            split: [tf.train.Example.FromString(r) for r in _read(out / f"Split-{split}")]
            for split in SPLITS
        },
        quarantine=[Quarantined.parse(r) for r in _read(out / quarantine.FOLDER)],
        intake=intake.Intake.from_json((out / intake.FILE_NAME).read_text("utf-8")),
    )


def _read(folder: Path) -> list[bytes]:
    dataset = tf.data.TFRecordDataset([str(p) for p in sorted(folder.iterdir())], "GZIP")
    return [record.numpy() for record in dataset]


def value(example: tf.train.Example, name: str) -> bytes | int | float:
    """Returns the only value of a feature."""
    feature = example.features.feature[name]
    (only,) = getattr(feature, feature.WhichOneof("kind")).value
    return only
