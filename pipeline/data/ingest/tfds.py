"""Image classification data sets of TensorFlow Datasets, an optional package."""

from __future__ import annotations

import functools
import importlib
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from components.image_example_gen.label_forms import normal
from pipeline.config import ConfigError
from pipeline.data import layouts, split_roles
from pipeline.data.ingest import split_names
from pipeline.data.ingest.sources import Source

PREFIX = "tfds:"
_PATIENCE_SECONDS = 20


@dataclass(frozen=True)
class TfdsSet:
    """A data set whose images are read by Beam workers, a slice at a time.

    Attributes:
        name: the set's name in TFDS's catalogue, with or without config and version.
        image: the feature that holds the image.
        label: the feature that holds the class.
        labels: class names in the order of their ids.
        splits: for each split used, its name in the set, the split that it becomes (None if the
            pipeline is to cut the data), and its number of images.
    """

    name: str
    image: str
    label: str
    labels: tuple[str, ...]
    splits: tuple[tuple[str, str | None, int], ...]

    @property
    def where(self) -> str:
        """The set as the command line names it."""
        return f"{PREFIX}{self.name}"

    @property
    def told(self) -> tuple[str, ...]:
        """What the set's splits become, where they have other names."""
        found = {own: split for own, split, _ in self.splits}
        return tuple(split_names.renamed(found))

    @property
    def count(self) -> int | None:
        """The number of images."""
        return sum(size for _, _, size in self.splits)

    def parts(self, size: int) -> list[Callable[[], Iterable[Source]]]:
        """Returns functions that each list at most `size` images."""
        return [
            functools.partial(_read, self, own, split, start, min(start + size, total))
            for own, split, total in self.splits
            for start in range(0, total, size)
        ]


def tfds_set(name: str) -> TfdsSet:
    """Downloads a data set unless this machine has it, and returns its description.

    Args:
        name: name in TFDS's catalogue, as in `cifar10` or `imagenet_v2/matched-frequency`.

    Raises:
        ConfigError: TensorFlow Datasets is not installed or has no such set, or the set does not
            have images with one class each.
    """
    builder = _builder(name)
    if not (builder.data_path / layouts.TFDS_INFO).exists():
        _check_network(name, builder)
    try:
        builder.download_and_prepare()
    except Exception as error:  # any error of network or disk; all mean the same to the user
        raise ConfigError(f"{PREFIX}{name}: cannot be prepared: {error}") from error
    features = builder.info.features
    supervised = builder.info.supervised_keys
    image, label = supervised[:2] if supervised else ("image", "label")
    kinds = [type(features[key]).__name__ if key in features else "" for key in (image, label)]
    if kinds != ["Image", "ClassLabel"]:
        raise ConfigError(f"{PREFIX}{name}: allowed: sets with one image and one class a record")
    sizes = {key: info.num_examples for key, info in builder.info.splits.items()}
    labelled = [own for own in sizes if _is_labelled(builder, own, image, label)]
    roles = split_names.of_catalogue(f"{PREFIX}{name}", labelled)
    return TfdsSet(
        name=name,
        image=image,
        label=label,
        labels=tuple(normal(name) for name in features[label].names),
        splits=tuple((own, split, sizes[own]) for own, split in roles.items()),
    )


def _check_network(name: str, builder: Any) -> None:
    """Asks once for the first file of a set, as a download tries for minutes and warns each time.

    Any answer will do. A set whose files are not known in advance is not asked for.
    """
    import requests  # comes with TensorFlow Datasets

    urls = [url for url in builder.url_infos or () if url.startswith("http")]
    if not urls:
        return
    try:
        requests.head(urls[0], timeout=_PATIENCE_SECONDS)
    except requests.RequestException as error:
        host = urllib.parse.urlsplit(urls[0]).hostname
        raise ConfigError(
            f"{PREFIX}{name}: is not in {builder.data_path}, and {host}, which has it, cannot be"
            " reached; allowed: a set on this machine, or a network"
        ) from error


def _is_labelled(builder: Any, split: str, image: str, label: str) -> bool:
    """Returns whether a split has labels; ImageNet's test split, for example, has -1 instead."""
    if split_roles.role(split) is None:
        return False
    first = next(iter(_records(builder, f"{split}[:1]", image)), None)
    return first is not None and int(first[label]) >= 0


def _builder(name: str) -> Any:
    try:
        tfds = importlib.import_module("tensorflow_datasets")
    except ImportError as error:
        raise ConfigError(
            f"{PREFIX}{name}: TensorFlow Datasets is not installed; run pip install '.[tfds]' in"
            " the folder of retrain"
        ) from error
    try:
        return tfds.builder(name)
    except (tfds.core.DatasetNotFoundError, ValueError) as error:
        first = str(error).splitlines()[0]
        raise ConfigError(f"{PREFIX}{name}: {first}; allowed: a name in its catalogue") from error


def _records(builder: Any, split: str, image: str) -> Iterator[Mapping[str, Any]]:
    tfds = importlib.import_module("tensorflow_datasets")
    dataset = builder.as_dataset(
        split=split, decoders={image: tfds.decode.SkipDecoding()}, shuffle_files=False
    )
    records: Iterator[Mapping[str, Any]] = dataset.as_numpy_iterator()
    return records


def _read(origin: TfdsSet, own: str, split: str | None, start: int, end: int) -> Iterator[Source]:
    records = _records(_builder(origin.name), f"{own}[{start}:{end}]", origin.image)
    for number, record in enumerate(records, start=start):
        yield Source(
            name=f"{origin.name}/{own}/{number}",
            label=origin.labels[int(record[origin.label])],
            split=split,
            read=functools.partial(bytes, record[origin.image]),
        )
