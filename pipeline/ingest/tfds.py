"""Image classification sets of TensorFlow Datasets, which is installed by the extra `tfds`."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from pipeline.config import ConfigError
from pipeline.ingest.sources import Source

PREFIX = "tfds:"
_SPLITS = {"train": "train", "validation": "val", "val": "val", "test": "test"}


@dataclass(frozen=True)
class TfdsSet:
    """A data set whose images are read where Beam runs, a slice at a time.

    Attributes:
        name: its name in the catalogue, with or without config and version.
        image: the feature that holds the image.
        label: the feature that holds the class.
        labels: the class names, in the order of their ids.
        sizes: the set's own name of each split that is used, and how many images it has.
        val_share: share of train that becomes val; 0 where there is a split for it.
    """

    name: str
    image: str
    label: str
    labels: tuple[str, ...]
    sizes: tuple[tuple[str, int], ...]
    val_share: float

    @property
    def count(self) -> int | None:
        """Counts the images."""
        return sum(size for _, size in self.sizes)

    def parts(self, size: int) -> list[Callable[[], Iterable[Source]]]:
        """Returns the images in parts of at most `size`."""
        return [
            functools.partial(_read, self, split, start, min(start + size, total))
            for split, total in self.sizes
            for start in range(0, total, size)
        ]


def tfds_set(name: str, val_share: float) -> TfdsSet:
    """Downloads a data set, unless it is there already.

    Args:
        name: its name in the catalogue, as in `cifar10` or `imagenet_v2/matched-frequency`.
        val_share: share of train that becomes val where the set has no validation split.

    Raises:
        ConfigError: TensorFlow Datasets is not installed, has no such set, or it is no set of
            images with one class each.
    """
    builder = _builder(name)
    try:
        builder.download_and_prepare()
    except Exception as error:  # of any network or file system; all mean the same to the user
        raise ConfigError(f"{PREFIX}{name}: cannot be prepared: {error}") from error
    features = builder.info.features
    supervised = builder.info.supervised_keys
    image, label = supervised[:2] if supervised else ("image", "label")
    kinds = [type(features[key]).__name__ if key in features else "" for key in (image, label)]
    if kinds != ["Image", "ClassLabel"]:
        raise ConfigError(f"{PREFIX}{name}: allowed: sets with one image and one class a record")
    sizes = {key: info.num_examples for key, info in builder.info.splits.items() if key in _SPLITS}
    found = {_SPLITS[key] for key in sizes}
    if "test" not in found and "val" in found:
        # ImageNet's test split has no labels; what others call val is what it is judged on.
        found = {"train"}
        sizes = {"train": sizes["train"]}
    return TfdsSet(
        name=name,
        image=image,
        label=label,
        labels=tuple(features[label].names),
        sizes=tuple(sizes.items()),
        val_share=val_share if found == {"train", "test"} else 0.0,
    )


def _builder(name: str) -> Any:
    try:
        tfds = importlib.import_module("tensorflow_datasets")
    except ImportError as error:
        raise ConfigError(
            f"{PREFIX}{name}: TensorFlow Datasets is not installed; pip install 'retrain[tfds]'"
        ) from error
    try:
        return tfds.builder(name)
    except (tfds.core.DatasetNotFoundError, ValueError) as error:
        first = str(error).splitlines()[0]
        raise ConfigError(f"{PREFIX}{name}: {first}; allowed: a name in its catalogue") from error


def _read(origin: TfdsSet, split: str, start: int, end: int) -> Iterator[Source]:
    tfds = importlib.import_module("tensorflow_datasets")
    dataset = _builder(origin.name).as_dataset(
        split=f"{split}[{start}:{end}]",
        decoders={origin.image: tfds.decode.SkipDecoding()},
        shuffle_files=False,
    )
    only = len(origin.sizes) == 1
    for number, record in enumerate(dataset.as_numpy_iterator(), start=start):
        yield Source(
            name=f"{origin.name}/{split}/{number}",
            label=origin.labels[int(record[origin.label])],
            split=None if only else _SPLITS[split],
            read=functools.partial(bytes, record[origin.image]),
            val_share=origin.val_share,
        )
