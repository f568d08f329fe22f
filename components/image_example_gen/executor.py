"""Runs ImageExampleGen: a Beam pipeline whose memory does not grow with the data.

Files are read twice. On the first way every image is decoded, and what is small goes on: a verdict
for each record, and its sketch into the buckets where copies meet. On the second way nothing is
decoded: each file meets its verdicts, and each record is written to where it belongs. So neither
encoded images nor pixels ever wait for the last image of the span, in memory or in a shuffle.
"""

from __future__ import annotations

import collections
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO, cast

import apache_beam as beam
import tensorflow as tf
from apache_beam.io.fileio import EmptyMatchTreatment, MatchAll
from google.protobuf import json_format, struct_pb2
from tfx import types
from tfx.components.example_gen import utils, write_split
from tfx.components.util import examples_utils
from tfx.dsl.components.base import base_beam_executor
from tfx.dsl.io import fileio
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils
from tfx.types import standard_component_specs as specs
from tfx.utils import proto_utils

from components import tfrecord_file
from components.image_example_gen import duplicates, inspection, measures, report
from components.image_example_gen.checks import LEAKED, Checks
from components.image_example_gen.driver import SEPARATOR
from components.image_example_gen.quarantine import Quarantined
from components.image_example_gen.splits import Cut
from trainer import progress
from trainer.features import LABEL, TEXT

CHECKS = "checks"
_VERDICTS, _PRINTS, _DAMAGED, _COUNTS = "verdicts", "prints", "damaged", "counts"
_FILE, _REMOVED = "file", "removed"
_BATCH_RECORDS = 64
_BATCH_BYTES = 1 << 24
_EXAMPLES = 100
_FLAGS = {
    "exact_within": duplicates.EXACT_WITHIN,
    "exact_across": duplicates.EXACT_ACROSS,
    "near_within": duplicates.NEAR_WITHIN,
    "near_across": duplicates.NEAR_ACROSS,
    "conflicting": duplicates.CONFLICTING,
    "leaked_exact": duplicates.LEAKED_EXACT,
    "leaked_near": duplicates.LEAKED_NEAR,
    "not_compared": duplicates.NOT_COMPARED,
}


class Executor(base_beam_executor.BaseBeamExecutor):
    """Reads a span, writes its clean records by split, the others to quarantine, and a report."""

    def Do(  # noqa: N802, the name is TFX's
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Brings the spans in.

        Args:
            input_dict: empty.
            output_dict: `examples`, one artifact. Beside its splits it gets `quarantine` and
                `report.json`.
            exec_properties: what the driver made of the component's parameters.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        inputs, outputs, checks = _parameters(exec_properties)
        splits = utils.generate_output_split_names(inputs, outputs)
        examples = artifact_utils.get_single_instance(output_dict[specs.EXAMPLES_KEY])
        examples.split_names = artifact_utils.encode_split_names(splits)
        examples_utils.set_payload_format(examples, example_gen_pb2.FORMAT_TF_EXAMPLE)
        examples_utils.set_file_format(
            examples, write_split.to_file_format_str(example_gen_pb2.FORMAT_TFRECORDS_GZIP)
        )
        base = exec_properties[specs.INPUT_BASE_KEY]
        patterns = {
            split.name: [os.path.join(base, one) for one in split.pattern.split(SEPARATOR)]
            for split in inputs.splits
        }
        with self._make_beam_pipeline() as pipeline:
            bring_in(
                pipeline,
                patterns=patterns,
                cut=_cut(outputs),
                splits=splits,
                checks=checks,
                span=int(exec_properties.get(utils.SPAN_PROPERTY_NAME) or 0),
                folder=examples.uri,
            )


def bring_in(
    pipeline: beam.Pipeline,
    *,
    patterns: Mapping[str, Sequence[str]],
    cut: Cut | None,
    splits: Sequence[str],
    checks: Checks,
    span: int,
    folder: str,
) -> None:
    """Adds all steps to a pipeline.

    Args:
        pipeline: of any runner.
        patterns: split of the input -> patterns of its files.
        cut: how to cut the data; None if the splits of the input stay.
        splits: names of all splits that come out.
        checks: what a record must be like.
        span: the newest span's number, for the report.
        folder: where splits, quarantine and report are written.
    """
    matched = [
        pipeline
        | f"Patterns[{name}]" >> beam.Create(listed)
        | f"Match[{name}]" >> MatchAll(EmptyMatchTreatment.ALLOW)
        | f"Name[{name}]" >> beam.Map(_named, name)
        for name, listed in patterns.items()
    ]
    # Reshuffled, so that files are read in parallel.
    files = matched | "AllFiles" >> beam.Flatten() | "Spread" >> beam.Reshuffle()
    inspected = files | "Inspect" >> beam.ParDo(_Inspect(checks, cut)).with_outputs(
        _PRINTS, _DAMAGED, main=_VERDICTS
    )
    copies = inspected[_PRINTS] | duplicates.FindCopies(checks.similarity)
    removed = (
        copies
        | "Leaked" >> beam.Filter(_is_removed, checks.remove_leaked)
        | "LeakedByFile" >> beam.Map(_by_file)
    )
    names = beam.pvalue.AsDict(files | "Paths" >> beam.Map(_path))
    sent = (
        {_FILE: files, _VERDICTS: inspected[_VERDICTS], _REMOVED: removed}
        | "MeetVerdicts" >> beam.CoGroupByKey()
        | "Send"
        >> beam.ParDo(_Send(checks.labels), names).with_outputs(
            *splits, report.QUARANTINE, main=_COUNTS
        )
    )
    for split in splits:
        sent[split] | f"Write[{split}]" >> beam.io.WriteToTFRecord(
            os.path.join(folder, f"Split-{split}", "data_tfrecord"), file_name_suffix=".gz"
        )
    sent[report.QUARANTINE] | "WriteQuarantine" >> beam.io.WriteToTFRecord(
        os.path.join(folder, report.QUARANTINE, "records"), file_name_suffix=".gz"
    )
    counts = sent[_COUNTS] | "Count" >> beam.CombinePerKey(sum)
    relations = (
        copies
        | "Flags" >> beam.FlatMap(_flags).with_output_types(str)
        | "CountFlags" >> beam.combiners.Count.PerElement()
    )
    examples = copies | "Examples" >> beam.combiners.Top.Smallest(_EXAMPLES)
    (
        pipeline
        | "Once" >> beam.Create([os.path.join(folder, report.FILE_NAME)])
        | "Report"
        >> beam.Map(
            _write_report,
            span,
            checks.labels,
            tuple(splits),
            beam.pvalue.AsDict(counts),
            beam.pvalue.AsDict(relations),
            beam.pvalue.AsList(inspected[_DAMAGED]),
            beam.pvalue.AsSingleton(examples),
            names,
        )
    )


def _parameters(
    exec_properties: Mapping[str, Any],
) -> tuple[example_gen_pb2.Input, example_gen_pb2.Output, Checks]:
    inputs, outputs = example_gen_pb2.Input(), example_gen_pb2.Output()
    custom, struct = example_gen_pb2.CustomConfig(), struct_pb2.Struct()
    proto_utils.json_to_proto(exec_properties[specs.INPUT_CONFIG_KEY], inputs)
    proto_utils.json_to_proto(exec_properties[specs.OUTPUT_CONFIG_KEY], outputs)
    proto_utils.json_to_proto(exec_properties[specs.CUSTOM_CONFIG_KEY], custom)
    custom.custom_config.Unpack(struct)
    return inputs, outputs, Checks.from_dict(json_format.MessageToDict(struct)[CHECKS])


def _cut(outputs: example_gen_pb2.Output) -> Cut | None:
    splits = outputs.split_config.splits
    if not splits:
        return None
    return Cut(tuple(s.name for s in splits), tuple(s.hash_buckets for s in splits))


def _named(match: Any, split: str) -> tuple[bytes, tuple[str, str]]:
    """Returns a file under its key: a digest, as paths are long and the key goes everywhere."""
    key = hashlib.blake2b(match.path.encode("utf-8", "surrogateescape"), digest_size=8).digest()
    return key, (match.path, split)


def _path(file: tuple[bytes, tuple[str, str]]) -> tuple[bytes, str]:
    key, (path, _) = file
    return key, path


def _records(path: str) -> Iterator[bytes]:
    with fileio.open(path, "rb") as file:
        yield from tfrecord_file.records(cast(BinaryIO, file))


def _batches(records: Iterable[bytes]) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    size = 0
    for record in records:
        batch.append(record)
        size += len(record)
        if len(batch) == _BATCH_RECORDS or size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


class _Inspect(beam.DoFn):
    """Reads a file and yields a verdict for each record, by the file's key.

    A verdict is a plain tuple: number in the file, the record's checksum, split, reason, detail,
    class id, measures; the reason is empty if the record is clean, and only then what follows it
    means something.
    """

    def __init__(self, checks: Checks, cut: Cut | None) -> None:
        """Takes what decides where a record goes."""
        self._checks = checks
        self._cut = cut

    def process(self, element: tuple[bytes, tuple[str, str]]) -> Iterator[Any]:
        """Yields verdicts, prints of the clean records, and the damage if there is one."""
        key, (path, given) = element
        damage: list[str] = []
        number = 0
        for batch in _batches(_until_damage(path, damage)):
            verdicts = inspection.inspect(batch, self._checks)
            for record, verdict in zip(batch, verdicts, strict=True):
                which = (number, tfrecord_file.masked_checksum(record))
                if isinstance(verdict, inspection.Refused):
                    yield key, (*which, given, verdict.reason, verdict.detail, -1, ())
                else:
                    split = self._cut.split(verdict.key) if self._cut else given
                    yield key, (*which, split, "", "", verdict.label, tuple(verdict.measures))
                    yield from _prints((key, number), split, verdict)
                number += 1
            progress.count(progress.CHECKED, len(batch))
        for reason in damage:
            yield beam.pvalue.TaggedOutput(_DAMAGED, (path, number, reason))


def _until_damage(path: str, damage: list[str]) -> Iterator[bytes]:
    """Yields the records of a file; puts the reason into `damage` if the rest is unreadable."""
    try:
        yield from _records(path)
    except tfrecord_file.DamagedError as error:
        damage.append(str(error))


def _prints(record: duplicates.Id, split: str, verdict: inspection.Clean) -> Iterator[Any]:
    one = duplicates.Print(record, split, verdict.label, verdict.content, verdict.sketch)
    for bucket, print_ in duplicates.buckets(one, verdict.bands):
        yield beam.pvalue.TaggedOutput(_PRINTS, (bucket, tuple(print_)))


def _is_removed(copy: tuple[duplicates.Id, Any], leaks: Any) -> bool:
    return duplicates.is_removed(duplicates.Relation(*copy[1]), leaks)


def _by_file(copy: tuple[duplicates.Id, Any]) -> tuple[bytes, tuple[int, duplicates.Id]]:
    (key, number), (_, other) = copy
    return key, (number, other)


class _Send(beam.DoFn):
    """Reads a file once more and sends each record to where its verdict says."""

    def __init__(self, labels: tuple[str, ...]) -> None:
        """Takes the class names; the index in this list is the class id."""
        self._labels = labels

    def process(
        self, element: tuple[bytes, Mapping[str, Iterable[Any]]], names: Mapping[bytes, str]
    ) -> Iterator[Any]:
        """Yields serialised records by split or to quarantine, and counts at the end.

        Raises:
            RuntimeError: the file is not the one that was inspected.
        """
        _, groups = element
        ((path, _),) = groups[_FILE]
        verdicts = {verdict[0]: verdict for verdict in groups[_VERDICTS]}
        removed = dict(groups[_REMOVED])
        counts: collections.Counter[tuple[str, str, int]] = collections.Counter()
        for place, record in enumerate(_until_damage(path, [])):
            if place not in verdicts:
                raise RuntimeError(f"{path} grew while it was read")
            _, checksum, split, reason, detail, label, numbers = verdicts.pop(place)
            if checksum != tfrecord_file.masked_checksum(record):
                raise RuntimeError(f"{path} changed while it was read")
            if place in removed:
                key, other = removed[place]
                reason, detail = LEAKED, f"a copy of record {other} of {names[key]}"
            if reason:
                counts[split, reason, -1] += 1
                kept = Quarantined(record, reason, detail, path, place).serialized()
                yield beam.pvalue.TaggedOutput(report.QUARANTINE, kept)
            else:
                counts[split, "", label] += 1
                done = complete(record, self._labels, label, measures.Measures(*numbers))
                yield beam.pvalue.TaggedOutput(split, done)
        if verdicts:
            raise RuntimeError(f"{path} shrank while it was read")
        yield from counts.items()


def complete(record: bytes, labels: Sequence[str], label: int, numbers: measures.Measures) -> bytes:
    """Returns a record with both label features and what was measured of its image.

    Args:
        record: a serialised tf.Example.
        labels: class names.
        label: its class id.
        numbers: what was measured.
    """
    example = tf.train.Example.FromString(record)
    features = example.features.feature
    values: dict[str, int | float | str] = {
        LABEL: label,
        TEXT: labels[label],
        **dict(zip(measures.FEATURES, numbers, strict=True)),
    }
    for name, value in values.items():
        features[name].CopyFrom(_feature(value))
    serialized: bytes = example.SerializeToString(deterministic=True)
    return serialized


def _feature(value: int | float | str) -> tf.train.Feature:
    if isinstance(value, str):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value.encode()]))
    if isinstance(value, int):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
    return tf.train.Feature(float_list=tf.train.FloatList(value=[value]))


def _flags(copy: tuple[duplicates.Id, Any]) -> list[str]:
    flags = copy[1][0]
    return [name for name, flag in _FLAGS.items() if flags & flag]


def _write_report(
    target: str,
    span: int,
    labels: tuple[str, ...],
    splits: tuple[str, ...],
    counts: Mapping[tuple[str, str, int], int],
    relations: Mapping[str, int],
    damaged: Iterable[tuple[str, int, str]],
    examples: Iterable[tuple[duplicates.Id, Any]],
    names: Mapping[bytes, str],
) -> None:
    assembled = report.assemble(
        span=span,
        labels=labels,
        splits=splits,
        counts=counts,
        relations=relations,
        damaged=[report.Damage(*one) for one in damaged],
        examples=[_example(copy, names) for copy in examples],
    )
    with fileio.open(target, "w") as file:
        file.write(assembled.as_json())


def _example(copy: tuple[duplicates.Id, Any], names: Mapping[bytes, str]) -> report.Copy:
    (key, number), (_, (other_key, other)) = copy
    return report.Copy(names[key], number, names[other_key], other, tuple(_flags(copy)))
