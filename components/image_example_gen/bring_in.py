"""The steps of ImageExampleGen: a Beam pipeline whose memory does not grow with the data.

Each file is read twice. The first reading decodes every image and outputs only small data: a
verdict for each record, and its sketch, by which copies are found. The second reading decodes
nothing: it joins each file with its verdicts and writes each record to its split or to quarantine.
So no encoded images or pixels are held in memory or in a shuffle until the whole span is read.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.io.fileio import EmptyMatchTreatment, MatchAll
from apache_beam.pvalue import AsDict, AsList, AsSingleton
from tfx.utils import io_utils

from components.image_example_gen import duplicates, intake, quarantine, source
from components.image_example_gen.options import Rules
from components.image_example_gen.readings import (
    COUNTS,
    DAMAGED,
    FILE,
    PRINTS,
    REMOVED,
    VERDICTS,
    Deliver,
    Inspect,
)
from components.image_example_gen.splits import Cut

_EXAMPLES = 100


def bring_in(
    pipeline: beam.Pipeline,
    *,
    patterns: Mapping[str, Sequence[str]],
    cut: Cut | None,
    splits: Sequence[str],
    rules: Rules,
    span: int,
    folder: str,
) -> None:
    """Adds all steps of ImageExampleGen to a Beam pipeline.

    Args:
        pipeline: a pipeline of any runner.
        patterns: name of an input split -> globs of its files.
        cut: how records are assigned to splits; None to keep the input splits.
        splits: names of all output splits.
        rules: rules by which records are accepted or quarantined.
        span: number of the newest span.
        folder: output folder of splits, quarantine and `intake.json`.
    """
    files = _files(pipeline, patterns)
    paths = AsDict(files | "Paths" >> beam.Map(source.path))

    inspected = files | "Inspect" >> beam.ParDo(Inspect(rules, cut)).with_outputs(
        PRINTS, DAMAGED, main=VERDICTS
    )
    copies = inspected[PRINTS] | duplicates.FindCopies(rules.checks.similarity)
    leaks = rules.checks.remove_leaked
    removed = (
        copies
        | "Leaked" >> beam.Filter(lambda copy: duplicates.is_leaked(copy[1], leaks))
        | "LeakedByFile" >> beam.Map(_by_file)
    )

    delivered = (
        {FILE: files, VERDICTS: inspected[VERDICTS], REMOVED: removed}
        | "MeetVerdicts" >> beam.CoGroupByKey()
        | "Deliver"
        >> beam.ParDo(Deliver(rules.labels), paths).with_outputs(
            *splits, quarantine.FOLDER, main=COUNTS
        )
    )
    for split in splits:
        _write(delivered[split], split, f"{folder}/Split-{split}/data_tfrecord")
    _write(delivered[quarantine.FOLDER], "quarantine", f"{folder}/{quarantine.FOLDER}/records")

    counts = delivered[COUNTS] | "Count" >> beam.CombinePerKey(sum)
    once = pipeline | "Once" >> beam.Create([os.path.join(folder, intake.FILE_NAME)])
    once | "Intake" >> beam.Map(
        _write_intake,
        span,
        rules.labels,
        tuple(splits),
        AsDict(counts),
        AsList(inspected[DAMAGED]),
        *_summary(copies),
        paths,
    )


def _files(pipeline: beam.Pipeline, patterns: Mapping[str, Sequence[str]]) -> beam.PCollection:
    """Returns the files of all globs, distributed so that they are read in parallel."""
    found = [
        pipeline
        | f"Patterns[{split}]" >> beam.Create(listed)
        | f"Match[{split}]" >> MatchAll(EmptyMatchTreatment.ALLOW)
        | f"File[{split}]" >> beam.Map(source.file, split)
        for split, listed in patterns.items()
    ]
    return found | "AllFiles" >> beam.Flatten() | "Spread" >> beam.Reshuffle()


def _write(records: beam.PCollection, name: str, prefix: str) -> None:
    records | f"Write[{name}]" >> beam.io.WriteToTFRecord(prefix, file_name_suffix=".gz")


def _summary(copies: beam.PCollection) -> tuple[AsDict, AsSingleton]:
    """Returns the number of copies by flag, and some copies as examples."""
    flags = (
        copies
        | "Flags" >> beam.FlatMap(_flags).with_output_types(str)
        | "CountFlags" >> beam.combiners.Count.PerElement()
    )
    examples = copies | "Examples" >> beam.combiners.Top.Smallest(_EXAMPLES)
    return AsDict(flags), AsSingleton(examples)


def _by_file(copy: tuple[duplicates.Id, Any]) -> tuple[bytes, tuple[int, duplicates.Id]]:
    (key, number), (_, other) = copy
    return key, (number, other)


def _flags(copy: tuple[duplicates.Id, Any]) -> list[str]:
    return duplicates.names(copy[1][0])


def _write_intake(
    target: str,
    span: int,
    labels: tuple[str, ...],
    splits: tuple[str, ...],
    counts: Mapping[tuple[str, str, int], int],
    damaged: Iterable[tuple[str, int, str]],
    flags: Mapping[str, int],
    examples: Iterable[tuple[duplicates.Id, Any]],
    paths: Mapping[bytes, str],
) -> None:
    came_in = intake.assemble(
        span=span,
        labels=labels,
        splits=splits,
        counts=counts,
        flags=flags,
        damaged=[intake.Damage(*one) for one in damaged],
        examples=[_example(copy, paths) for copy in examples],
    )
    io_utils.write_string_file(target, came_in.as_json())


def _example(copy: tuple[duplicates.Id, Any], paths: Mapping[bytes, str]) -> intake.Copy:
    (key, number), (_, (other_key, other)) = copy
    return intake.Copy(paths[key], number, paths[other_key], other, tuple(_flags(copy)))
