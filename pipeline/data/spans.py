"""Finds the data and checks that it fits the config, before anything heavy loads.

A span is one delivery of data, in the folder `{root}/span-{N}`; `layouts` tells how its splits lie
in it. A root that itself holds split folders or files is span 0. Other folders are ignored, so a
writer can fill `_span-{N}` and publish it by renaming it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from components.image_example_gen.label_forms import listed
from pipeline.config import Config, ConfigError, is_remote, read_labels, shown
from pipeline.data import layouts, records, split_roles
from pipeline.data.layouts import FILES

SPLITS = split_roles.SPLITS

_PREFIX = "span-"


@dataclass(frozen=True)
class Span:
    """A span, and the globs by which TFX's ExampleGen finds its files.

    Attributes:
        number: the span's number.
        path: the folder that holds its split folders or files.
        base: ExampleGen's input base: the root that holds all spans.
        splits: the splits that the data brings; empty if it is to be cut into all of them.
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

    @property
    def cut(self) -> tuple[str, ...]:
        """The splits that a cut makes, of all data or of train; empty if the data has all three.

        Data without splits is cut into all; train beside test only is cut into train and val.
        """
        missing = set(SPLITS) - set(self.splits)
        return tuple(one for one in SPLITS if one in missing or one == "train") if missing else ()


def told(span: Span, group: str | None) -> str:
    """Returns a sentence on the cut; "" if the data brings all splits. `group` is `data.group`."""
    if not span.cut:
        return ""
    by = f"by {group}" if group else "by class"
    if not span.splits:
        return f"the data brings no splits: train, val and test are cut {by}, as data.splits says"
    test = span.patterns["test"].removeprefix(f"{_PREFIX}{{SPAN}}/").removesuffix(f"/{FILES}")
    return f"the data brings no val: it is cut from train {by}; test is {test}"


def find(config: Config) -> Span:
    """Finds the span that the config asks for: the newest of its window.

    This only lists folders; for a remote root it loads TensorFlow.

    Raises:
        ConfigError: the root or the span is missing, files and folders are not laid out as in a
            span, or the spans of the window are not laid out alike.
    """
    root = config.data.root
    numbers, flat = _spans_in(config)
    available = sorted(numbers) or ([0] if flat else [])
    if not available:
        raise ConfigError(
            f"data.root: {root} holds no data; allowed: a folder with span-0, span-1, … or with"
            f" {FILES} files, in train, val and test or not{layouts.hint(root)}"
        )
    number = available[-1] if config.data.span == "latest" else config.data.span
    if number not in available:
        raise ConfigError(
            f"data.span: found {number}; allowed: {listed([str(n) for n in available])},"
            f" as these are in {root}, or latest"
        )
    path = f"{root}/{_PREFIX}{number}" if numbers else root
    names = config.data.split_names
    found = layouts.patterns(path, names)
    # One set of patterns must match the files of all spans in the window.
    for older in range(max(0, number + 1 - config.data.window), number):
        folder = f"{root}/{_PREFIX}{older}"
        if older in available and layouts.patterns(folder, names) != found:
            raise ConfigError(
                f"data.window: found {config.data.window}, which includes {folder}; allowed: spans"
                f" whose splits lie alike, and those of {path} differ"
            )
    return _span(number, path, root, found, in_folders=bool(numbers))


def unlisted(config: Config) -> Span:
    """Returns a `Span` that stands for all spans of a root that this machine cannot list."""
    root, folders = config.data.root, config.kubeflow.split_folders
    found = layouts.unlisted(config.data.split_names, split_folders=folders)
    return _span(0, f"{root}/{_PREFIX}0", root, found, in_folders=True)


def _span(
    number: int, path: str, root: str, patterns: Mapping[str, str], *, in_folders: bool
) -> Span:
    prefix = f"{_PREFIX}{{SPAN}}/" if in_folders else ""
    return Span(
        number=number,
        path=path,
        base=root,
        splits=tuple(split for split in SPLITS if split in patterns),
        patterns={split: f"{prefix}{pattern}" for split, pattern in patterns.items()},
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
    found = layouts.patterns(span.path, config.data.split_names)
    files = {}
    for pattern in found.values():
        folder, _, glob = f"{span.path}/{pattern}".rpartition("/")
        # A folder that holds one split only stands for it in messages.
        where = folder if glob == FILES else f"{folder}/{glob}"
        files[where] = [f"{folder}/{name}" for name in layouts.listing(folder, glob)[1]]
    records.check(files, labels, config.data.features)
    return span


def _spans_in(config: Config) -> tuple[set[int], bool]:
    """Returns the numbers of the spans in a root, and whether the root itself is a span."""
    root, names = config.data.root, config.data.split_names
    folders, files = layouts.listing(root)
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
    usual = SPLITS if numbers else split_roles.USUAL_NAMES
    own = names.by_split().values() if names is not None else usual
    files += [file for glob in own if "*" in glob for file in layouts.listing(root, glob)[1]]
    beside = files[:1] or [name for name in folders if name in own]
    if numbers and beside:
        raise ConfigError(
            f"data.root: {root} holds {_PREFIX}{max(numbers)} and {beside[0]} side by side;"
            " allowed: spans, or the data of one span"
        )
    return numbers, bool(beside)
