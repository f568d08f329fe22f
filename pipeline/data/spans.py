"""Finds the data and checks that it fits the config, before anything heavy loads.

A span is one delivery of data. Its files are `{root}/span-{N}/{split}/*.tfrecord*`, or, without
split folders, `{root}/span-{N}/*.tfrecord*`. A root that itself holds split folders or files is
span 0. Other folders are ignored, so a writer can fill `_span-{N}` and publish it by renaming it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from pipeline.config import Config, ConfigError, did_you_mean, is_remote, read_labels, shown
from pipeline.data import peek
from trainer.features import IMAGE, LABEL, TEXT

SPLITS = ("train", "val", "test")

_FILES = "*.tfrecord*"
_PREFIX = "span-"
# Enough to find labels that do not fit; few enough to take well under a second.
_RECORDS_PER_FILE = 64
_RECORDS_IN_ALL = 1024
_NAMES_IN_MESSAGE = 10
_IMAGE_STARTS = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM")


@dataclass(frozen=True)
class Span:
    """A span, and the globs by which TFX's ExampleGen finds its files.

    Attributes:
        number: the span's number.
        path: the folder that holds its split folders or files.
        base: ExampleGen's input base: the root that holds all spans.
        splits: names of the split folders; empty if ExampleGen is to cut the data by a hash.
        patterns: split name -> glob of its files, relative to `base`. For a numbered span it has
            `{SPAN}`, which ExampleGen replaces by the number and records.
        numbered: whether the folder is `span-{N}`; if not, `base` itself is span 0.
    """

    number: int
    path: str
    base: str
    splits: tuple[str, ...]
    patterns: Mapping[str, str]
    numbered: bool


def find(config: Config) -> Span:
    """Finds the span that the config asks for: the newest of its window.

    This only lists folders; for a remote root it loads TensorFlow.

    Raises:
        ConfigError: the root or the span is missing, files and folders are not laid out as in a
            span, or the spans of the window are not laid out alike.
    """
    root = config.data.root
    numbers, flat = _spans_in(root)
    available = sorted(numbers) or ([0] if flat else [])
    if not available:
        raise ConfigError(
            f"data.root: {root} holds no data; allowed: a folder with span-0, span-1, … or with"
            f" {_FILES} files, in train, val and test or not"
        )
    number = available[-1] if config.data.span == "latest" else config.data.span
    if number not in available:
        raise ConfigError(
            f"data.span: found {number}; allowed: {_listed([str(n) for n in available])},"
            f" as these are in {root}, or latest"
        )
    path = f"{root}/{_PREFIX}{number}" if numbers else root
    splits = _splits_in(path)
    # One set of patterns must match the files of all spans in the window.
    for older in range(max(0, number + 1 - config.data.window), number):
        folder = f"{root}/{_PREFIX}{older}"
        if older in available and _splits_in(folder) != splits:
            raise ConfigError(
                f"data.window: found {config.data.window}, which includes {folder}; allowed: spans"
                f" that all have train, val and test or all have none, and {path} differs"
            )
    return _span(number, path, root, splits, in_folders=bool(numbers))


def numbered(root: str, splits: Sequence[str]) -> Span:
    """Returns a `Span` that stands for all spans of a root that this machine cannot list."""
    return _span(0, f"{root}/{_PREFIX}0", root, splits, in_folders=True)


def _span(number: int, path: str, root: str, splits: Sequence[str], *, in_folders: bool) -> Span:
    prefix = f"{_PREFIX}{{SPAN}}/" if in_folders else ""
    patterns = {split: f"{prefix}{split}/{_FILES}" for split in splits}
    return Span(
        number=number,
        path=path,
        base=root,
        splits=tuple(splits),
        patterns=patterns or {"all": f"{prefix}{_FILES}"},
        numbered=in_folders,
    )


def check(config: Config) -> Span:
    """Finds the span and checks that some of its first records fit the labels.

    The run itself quarantines single records that do not fit. If none of the first records of a
    split fits, config or data is wrong as a whole. Records of a remote root are not read.

    Raises:
        ConfigError: see `find` and `read_labels`; or a split has no record, or none of its first
            records has an image and a label that fit. The message is about the first such record.
    """
    span = find(config)
    labels = read_labels(config)
    if is_remote(span.path):
        return span
    folders = [f"{span.path}/{split}" for split in span.splits] or [span.path]
    files = {folder: _listing(folder)[1] for folder in folders}
    total = sum(len(names) for names in files.values())
    limit = max(1, min(_RECORDS_PER_FILE, _RECORDS_IN_ALL // total))
    ids = {label: number for number, label in enumerate(labels)}
    for folder, names in files.items():
        found = [
            problem
            for name in names
            for problem in _problems(f"{folder}/{name}", limit, labels, ids)
        ]
        if None not in found:
            nothing = f"{folder}: found no record in its files; allowed: one or more"
            raise next(filter(None, found), ConfigError(nothing))
    return span


def _spans_in(root: str) -> tuple[set[int], bool]:
    """Returns the numbers of the spans in a root, and whether the root itself is a span."""
    folders, files = _listing(root)
    numbers = set()
    for folder in folders:
        if not folder.startswith(_PREFIX):
            continue
        digits = folder.removeprefix(_PREFIX)
        # ExampleGen fails on any other name that matches its pattern, so it cannot be ignored.
        if not digits.isdecimal() or digits != str(int(digits)):
            raise ConfigError(
                f"{root}/{folder}: found {shown(digits)} for a span's number; allowed: 0, 1, 2, …"
                " without leading zeros, or a name that starts with _ to have it ignored"
            )
        numbers.add(int(digits))
    flat = bool(files) or any(split in folders for split in SPLITS)
    if numbers and flat:
        beside = files[:1] or [split for split in SPLITS if split in folders]
        raise ConfigError(
            f"data.root: {root} holds {_PREFIX}{max(numbers)} and {beside[0]} side by side;"
            " allowed: spans, or the data of one span"
        )
    return numbers, flat


def _splits_in(path: str) -> tuple[str, ...]:
    """Returns the names of a span's split folders; empty if the span itself holds files."""
    folders, files = _listing(path)
    splits = tuple(split for split in SPLITS if split in folders)
    if files and splits:
        raise ConfigError(
            f"{path}: found {files[0]} beside {splits[0]}; allowed: files in train, val and test,"
            " or files only"
        )
    if not files and splits != SPLITS:
        raise ConfigError(
            f"{path}: found {_listed(folders) if folders else 'no data'}; allowed: train, val and"
            f" test, or {_FILES} files to be cut into these"
        )
    for split in splits:
        if not _listing(f"{path}/{split}")[1]:
            raise ConfigError(f"{path}/{split}: found no file; allowed: {_FILES}")
    return splits


def _problems(
    path: str, limit: int, labels: Sequence[str], ids: Mapping[str, int]
) -> Iterator[ConfigError | None]:
    """Yields the error of each of a file's first `limit` records; None for a record that fits."""
    try:
        for number, example in enumerate(peek.examples(path, limit)):
            try:
                _check_example(example, f"{path}: record {number}", labels, ids)
                yield None
            except ConfigError as error:
                yield error
    except OSError as error:
        raise ConfigError(str(error)) from error
    except ValueError as error:
        yield ConfigError(str(error))


def _check_example(
    example: Mapping[str, peek.Values], where: str, labels: Sequence[str], ids: Mapping[str, int]
) -> None:
    for feature in (IMAGE, LABEL, TEXT):
        if len(example.get(feature, [])) > 1:
            raise ConfigError(
                f"{where}: {feature}: found {len(example[feature])} values; allowed: one"
            )
    encoded, label, text = (next(iter(example.get(f, [])), None) for f in (IMAGE, LABEL, TEXT))
    if text == b"":  # means no text, as in ImageExampleGen
        text = None
    if not isinstance(encoded, bytes) or not encoded.startswith(_IMAGE_STARTS):
        found = "nothing" if encoded is None else "something else"
        raise ConfigError(
            f"{where}: {IMAGE}: found {found}; allowed: the bytes of a JPEG, PNG, GIF or BMP file"
        )
    if label is None and text is None:
        raise ConfigError(f"{where}: found neither {LABEL} nor {TEXT}; allowed: either or both")
    if label is not None and (not isinstance(label, int) or not 0 <= label < len(labels)):
        raise ConfigError(
            f"{where}: {LABEL}: found {label!r}; allowed: 0 to {len(labels) - 1}, as there are"
            f" {len(labels)} labels"
        )
    if text is None:
        return
    name = text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
    if name not in ids:
        raise ConfigError(
            f"{where}: {TEXT}: found {shown(name)}; allowed: {_listed(labels)}"
            f"{did_you_mean(name, labels)}"
        )
    if label is not None and ids[name] != label:
        raise ConfigError(
            f"{where}: {TEXT}: found {shown(name)} with {LABEL} {label}, which is"
            f" {shown(labels[int(label)])}; allowed: a name and a label that agree"
        )


def _listed(names: Sequence[str]) -> str:
    rest = len(names) - _NAMES_IN_MESSAGE
    return ", ".join(names[:_NAMES_IN_MESSAGE]) + (f" and {rest} more" if rest > 0 else "")


def _listing(folder: str) -> tuple[list[str], list[str]]:
    """Returns the sorted names of the folders in a folder, and of the TFRecord files in it.

    Files with a leading dot or underscore are included, as ExampleGen's glob matches them.
    """
    try:
        entries = _remote_entries(folder) if is_remote(folder) else _local_entries(folder)
    except FileNotFoundError:
        raise ConfigError(
            f"data.root: {folder} does not exist; bring images in by retrain ingest SOURCE"
            f" --output {folder}, or set data.root to the folder that holds them"
        ) from None
    except NotADirectoryError:
        raise ConfigError(f"data.root: {folder} is a file; allowed: a folder") from None
    except OSError as error:
        raise ConfigError(f"data.root: {folder} cannot be listed: {error}") from error
    names = sorted(entries)
    folders = [name for name in names if entries[name]]
    return folders, [name for name in names if not entries[name] and fnmatch(name, _FILES)]


def _local_entries(folder: str) -> dict[str, bool]:
    return {entry.name: entry.is_dir() for entry in Path(folder).iterdir()}


def _remote_entries(folder: str) -> dict[str, bool]:
    # Heavy, but nothing else in the stack can list the folder.
    import tensorflow as tf

    try:
        if not tf.io.gfile.isdir(folder):
            raise FileNotFoundError(folder)
        names = [name.rstrip("/") for name in tf.io.gfile.listdir(folder)]
        return {name: tf.io.gfile.isdir(f"{folder}/{name}") for name in names}
    except tf.errors.OpError as error:
        raise OSError(error.message) from error
