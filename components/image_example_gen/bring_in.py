"""The steps of ImageExampleGen: a Beam pipeline whose memory does not grow with the data.

Each file is read twice. The first reading decodes every image and outputs only small data: a
verdict for each record, and its sketch, by which copies are found. The second reading decodes
nothing: it joins each file with its verdicts and writes each record to its split or to quarantine.
Data without splits is cut between the two, by the digests of its images.
So no encoded images or pixels are held in memory or in a shuffle until the whole span is read.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.io.fileio import EmptyMatchTreatment, MatchAll
from apache_beam.pvalue import AsDict, AsList, AsSingleton
from tfx.utils import io_utils

from components.image_example_gen import duplicates, intake, naming, quarantine, source, splits
from components.image_example_gen.options import Leaks, Rules
from components.image_example_gen.readings import (
    COUNTS,
    DAMAGED,
    FILE,
    NAMES,
    PRINTS,
    REMOVED,
    SETTLED,
    VERDICTS,
    Deliver,
    Inspect,
)
from components.image_example_gen.splits import Cut

_EXAMPLES = 100
# Under these keys, prints meet the splits of their images.
_PRINT, _SPLIT = "print", "split"


def bring_in(
    pipeline: beam.Pipeline,
    *,
    patterns: Mapping[str, Sequence[str]],
    cut: Cut | None,
    names: Sequence[str],
    rules: Rules,
    span: int,
    folder: str,
) -> None:
    """Adds all steps of ImageExampleGen to a Beam pipeline.

    Args:
        pipeline: a pipeline of any runner.
        patterns: name of an input split -> globs of its files.
        cut: how records are assigned to splits; None to keep the input splits.
        names: names of all output splits.
        rules: rules by which records are accepted or quarantined.
        span: number of the newest span.
        folder: output folder of splits, quarantine and `intake.json`.
    """
    files = _files(pipeline, patterns)
    paths = AsDict(files | "Paths" >> beam.Map(source.path))

    inspected = files | "Inspect" >> beam.ParDo(Inspect(rules, cut)).with_outputs(
        PRINTS, NAMES, DAMAGED, main=VERDICTS
    )
    prints = inspected[PRINTS]
    settled = {}
    if cut is not None and rules.group is None:
        prints = _settled(prints, cut)
        settled = {SETTLED: prints | "SplitByFile" >> beam.Map(_split_by_file)}
    buckets = prints | "Buckets" >> beam.FlatMap(_buckets)
    found = buckets | duplicates.FindCopies(rules.checks.similarity)
    copies = _named(found, inspected[NAMES], paths)

    delivered = (
        {
            FILE: files,
            VERDICTS: inspected[VERDICTS],
            **settled,
            REMOVED: _leaked(copies, rules.checks.remove_leaked),
        }
        | "MeetVerdicts" >> beam.CoGroupByKey()
        | "Deliver"
        >> beam.ParDo(Deliver(rules)).with_outputs(*names, quarantine.FOLDER, main=COUNTS)
    )
    _write_all(delivered, names, folder)

    counts = delivered[COUNTS] | "Count" >> beam.CombinePerKey(sum)
    once = pipeline | "Once" >> beam.Create([os.path.join(folder, intake.FILE_NAME)])
    once | "Intake" >> beam.Map(
        _write_intake,
        span,
        rules.labels,
        tuple(names),
        AsDict(counts),
        AsList(inspected[DAMAGED]),
        *_summary(copies, inspected[NAMES]),
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


def _leaked(copies: beam.PCollection, leaks: Leaks) -> beam.PCollection:
    """Returns the copies that must leave train, by their file."""
    return (
        copies
        | "Leaked" >> beam.Filter(lambda copy: duplicates.is_leaked(copy[1][0], leaks))
        | "LeakedByFile" >> beam.Map(_by_file)
    )


def _settled(prints: beam.PCollection, cut: Cut) -> beam.PCollection:
    """Returns the prints with the splits that a cut by class gives to those without one."""
    splits_of = (
        prints
        | "Unsettled" >> beam.Filter(lambda one: not duplicates.Print._make(one[1][1]).split)
        | "SpanAndClass" >> beam.Map(_span_and_class)
        | "Settle" >> splits.Settle(cut)
    )
    return (
        {_PRINT: prints, _SPLIT: splits_of}
        | "MeetSplits" >> beam.CoGroupByKey()
        | "PutSplit" >> beam.FlatMap(_put_split)
    )


def _span_and_class(one: tuple[bytes, Any]) -> tuple[tuple[int, bytes], int]:
    content, (span, print_, _) = one
    return (span, content), duplicates.Print._make(print_).label


def _put_split(group: tuple[bytes, Mapping[str, Any]]) -> Iterator[tuple[bytes, Any]]:
    content, found = group
    settled = next(iter(found[_SPLIT]), "")
    for span, print_, bands in found[_PRINT]:
        one = duplicates.Print._make(print_)
        yield content, (span, tuple(one._replace(split=one.split or settled)), bands)


def _buckets(one: tuple[bytes, Any]) -> Iterator[tuple[bytes, Any]]:
    _, (_, print_, bands) = one
    for bucket, found in duplicates.buckets(duplicates.Print._make(print_), bands):
        yield bucket, tuple(found)


def _split_by_file(one: tuple[bytes, Any]) -> tuple[bytes, tuple[int, str]]:
    _, (_, print_, _) = one
    found = duplicates.Print._make(print_)
    key, number = found.id
    return key, (number, found.split)


def _write_all(
    delivered: Mapping[str, beam.PCollection], names: Sequence[str], folder: str
) -> None:
    for split in names:
        _write(delivered[split], split, f"{folder}/Split-{split}/data_tfrecord")
    _write(delivered[quarantine.FOLDER], "quarantine", f"{folder}/{quarantine.FOLDER}/records")


def _write(records: beam.PCollection, name: str, prefix: str) -> None:
    records | f"Write[{name}]" >> beam.io.WriteToTFRecord(prefix, file_name_suffix=".gz")


def _named(copies: beam.PCollection, names: beam.PCollection, paths: AsDict) -> beam.PCollection:
    """Adds to each copy the name of its original; the copies are pairs of id and relation."""
    by_original = copies | "ByOriginal" >> beam.Map(lambda copy: (copy[1][1], copy))
    return (
        {"copies": by_original, "names": names}
        | "MeetNames" >> beam.CoGroupByKey()
        | "NameOriginal" >> beam.FlatMap(_with_name, paths)
    )


def _with_name(
    group: tuple[duplicates.Id, Mapping[str, Iterable[Any]]], paths: Mapping[bytes, str]
) -> Iterator[tuple[duplicates.Id, Any]]:
    (key, number), found = group
    name = next(iter(found["names"]), "") or naming.place(paths[key], number)
    for one, (flags, other) in found["copies"]:
        yield one, (flags, other, name)


def _summary(
    copies: beam.PCollection, names: beam.PCollection
) -> tuple[AsDict, AsSingleton, AsDict]:
    """Returns the number of copies by flag, some copies as examples, and their own names."""
    flags = (
        copies
        | "Flags" >> beam.FlatMap(_flags).with_output_types(str)
        | "CountFlags" >> beam.combiners.Count.PerElement()
    )
    examples = copies | "Examples" >> beam.combiners.Top.Smallest(_EXAMPLES)
    own = names | "OwnNames" >> beam.Filter(
        lambda name, shown: any(name[0] == copy[0] for copy in shown), AsSingleton(examples)
    )
    return AsDict(flags), AsSingleton(examples), AsDict(own)


def _by_file(copy: tuple[duplicates.Id, Any]) -> tuple[bytes, tuple[int, str]]:
    (key, number), (_, _, name) = copy
    return key, (number, name)


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
    names: Mapping[duplicates.Id, str],
    paths: Mapping[bytes, str],
) -> None:
    came_in = intake.assemble(
        span=span,
        labels=labels,
        splits=splits,
        counts=counts,
        flags=flags,
        damaged=[intake.Damage(*one) for one in damaged],
        examples=[_example(copy, names, paths) for copy in examples],
    )
    io_utils.write_string_file(target, came_in.as_json())


def _example(
    copy: tuple[duplicates.Id, Any],
    names: Mapping[duplicates.Id, str],
    paths: Mapping[bytes, str],
) -> intake.Copy:
    (key, number), (_, (other_key, other), other_name) = copy
    return intake.Copy(
        file=paths[key],
        record=number,
        other_file=paths[other_key],
        other_record=other,
        found=tuple(_flags(copy)),
        name=names.get((key, number)) or naming.place(paths[key], number),
        other_name=other_name,
    )
