"""Images in TFRecords that something else wrote, with its own names of features."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from components.image_example_gen import label_forms
from components.image_example_gen.label_forms import listed, normal
from components.image_example_gen.options import Features
from pipeline.config import ConfigError
from pipeline.data import layouts, peek, split_roles
from pipeline.data.ingest import feature_names, record_classes, split_names
from pipeline.data.ingest.folders import hidden
from pipeline.data.ingest.sources import Source, refuse, slice_name
from trainer.features import FILENAME, IMAGE

_FILES = "*.tfrec*"
_SHARD = re.compile(r".*-\d+-of-\d+(\.gz)?")  # as TF-Slim calls it, without an ending
# A longer text is no name to slice by.
_LONGEST_SLICE = 200


@dataclass(frozen=True)
class RecordSet:
    """Images in TFRecord files, whose class names are known.

    Attributes:
        labels: class names in the order of their ids.
        count: number of records.
        where: what messages call the source.
        told: see `sources.Origin`.
        names: names of the features, and the number of the first class.
        listed: whether a list of names came with the records; if not, a record states its class.
        files: path and split of each file.
    """

    labels: tuple[str, ...]
    count: int | None
    where: str
    told: tuple[str, ...]
    names: Features
    listed: bool
    files: tuple[tuple[str, str | None], ...]

    def parts(self, size: int) -> list[Callable[[], Iterable[Source]]]:
        """Returns functions that each list the images of a file, whatever `size` is."""
        return [functools.partial(_read, self, file, split) for file, split in self.files]


def is_named_so(name: str) -> bool:
    """Returns whether a file's name is that of TFRecords, compressed or not."""
    usual = fnmatchcase(name.lower(), _FILES) or _SHARD.fullmatch(name)
    return bool(usual) and not hidden(name)


def below(folder: Path) -> list[Path]:
    """Returns the TFRecord files of a folder, or of the folders in it.

    Those are folders for splits, or the one version of a set of TensorFlow Datasets.

    Raises:
        ConfigError: the folder cannot be listed, or what it holds is not clear.
    """
    try:
        return _below(folder)
    except OSError as error:
        raise ConfigError(f"{error.filename}: cannot be listed: {error.strerror}") from error


def _below(folder: Path) -> list[Path]:
    inner = sorted(one for one in folder.iterdir() if one.is_dir() and not hidden(one.name))
    splits = [one for one in inner if split_roles.role(one.name)]
    versions = [one for one in inner if (one / layouts.TFDS_INFO).is_file()]
    if len(versions) > 1:
        raise ConfigError(f"{folder}: found {len(versions)} versions; did you mean {versions[-1]}?")
    for folders in ([folder], splits, versions):
        found = [file for one in folders for file in one.iterdir() if is_named_so(file.name)]
        if found and folders == [folder] and inner:
            raise ConfigError(
                f"{folder}: found {found[0].name} beside folders, such as {inner[0].name}; allowed:"
                " TFRecords or folders; give the files themselves, or move them"
            )
        if found:
            return sorted(found)
    return []


def records(files: Sequence[Path], chosen: Mapping[str, str], where: str) -> RecordSet:
    """Returns the images in TFRecord files, after reading all records once for their classes.

    Splits are told by the names of the files or of their folders. Class names come from
    `labels.txt` or TensorFlow Datasets' `LABEL.labels.txt` beside the files, from the records'
    texts, or are the numbers themselves.

    Args:
        files: the files, gzipped or not.
        chosen: `image`, `label`, `text` -> name of the feature, "null" for none, and `label_base`
            -> 0 or 1, the number of the first class; what is left out is guessed.
        where: what messages call the source.

    Raises:
        ConfigError: a file cannot be read, the names of features or splits are not clear, or
            numbers and names of classes do not fit together.
    """
    first = _first(files, where)
    names = feature_names.settled(first, chosen, where)
    splits, told = split_names.of_files(files, where)
    files = [file for file in files if file in splits]
    labels = record_classes.listing(files, names)
    classes = record_classes.counted(files, names)
    is_listed = labels is not None
    if labels is not None:
        record_classes.check(classes, labels, names, where, base_chosen="label_base" in chosen)
    else:
        labels = record_classes.ordered(classes, names, where)
        if all(number is not None and name == str(number) for name, number in classes if name):
            told.append(
                f"{where}: classes have numbers and no names; they are called {listed(labels)}, or"
                " as a file labels.txt beside the records says, one name a line"
            )
    if names.image != IMAGE:
        used = {"image": names.image, "label": names.label, "text": names.text}
        features = ",".join(f"{key}={name}" for key, name in used.items() if name)
        told.append(f"{where}: read by --features {features}")
    return RecordSet(
        labels=labels,
        count=sum(classes.values()),
        where=where,
        told=tuple(told),
        names=names,
        listed=is_listed,
        files=tuple((str(file), splits[file]) for file in files),
    )


def _first(files: Sequence[Path], where: str) -> peek.Record:
    """Returns the first record that can be read."""
    problem = "found no record"
    for file in files:
        try:
            for record in peek.examples(file, 1):
                return record
        except (ValueError, OSError) as error:
            problem = str(error)
    raise ConfigError(f"{where}: {problem}; allowed: TFRecords of tf.Examples")


def _read(origin: RecordSet, file: str, split: str | None) -> Iterator[Source]:
    for number, record in enumerate(record_classes.decoded(file)):
        place = f"{Path(file).parent.name}/{Path(file).name}:{number}"
        try:
            if isinstance(record, str):
                raise ValueError(record)
            yield _source(origin, record, place, split)
        except ValueError as error:
            yield Source(place, "", split, functools.partial(refuse, str(error)))


def _source(origin: RecordSet, record: peek.Record, place: str, split: str | None) -> Source:
    names = origin.names
    label, text = peek.values(record, names.label), peek.values(record, names.text)
    if origin.listed:
        name = normal(origin.labels[label_forms.class_id(label, text, origin.labels, names)])
    else:
        name, _ = record_classes.own(record, names)
    encoded = record.get(names.image, [])
    if len(encoded) != 1 or not isinstance(encoded[0], bytes):
        raise ValueError(f"{names.image}: found {len(encoded)} values; allowed: an image's bytes")
    given = _scalar(record.get(FILENAME, []))
    return Source(
        name=given or place,
        label=name,
        split=split,
        read=functools.partial(bytes, encoded[0]),
        slices=tuple(_slices(record, names)),
    )


def _slices(record: peek.Record, names: Features) -> Iterator[tuple[str, str]]:
    for column in sorted(set(record) - {names.image, names.label, names.text}):
        name, text = slice_name(column), _scalar(record[column])
        if name and text:
            yield name, text


def _scalar(values: peek.Values) -> str:
    """Returns a single short value as text; "" if it is none."""
    if len(values) != 1:
        return ""
    (value,) = values
    if not isinstance(value, bytes):
        return f"{value:g}" if isinstance(value, float) else str(value)
    try:
        return value.decode() if len(value) <= _LONGEST_SLICE else ""
    except UnicodeDecodeError:
        return ""
