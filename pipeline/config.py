"""The typed config: what a config file may say, and how it is read.

The models below are the one place where keys, defaults, ranges and their descriptions stand. The
messages about a wrong config and the file that `retrain init` writes are both made from them.
Nothing heavy is imported here, so a mistake in a config is told at once.
"""

import datetime
import difflib
import functools
import json
import math
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from trainer.backbones import catalog

_MOST_LINES = 5
# What YAML makes of unquoted words such as yes, 12 or 2024-01-01.
_LIKE_TEXT = (bool, int, float, datetime.date)
_REMOTE_SCHEMES = ("gs://", "s3://")


class ConfigError(ValueError):
    """A mistake in what the user gave: the message names place, finding and what is allowed."""


def is_remote(location: str) -> bool:
    """Tells whether a location is a URI of an object store instead of a local path."""
    return location.startswith(_REMOTE_SCHEMES)


def _check_location(value: str) -> str:
    if not value.strip():
        raise ValueError("found an empty text; allowed: a local path, gs://… or s3://…")
    if "://" in value and not re.match(r"(gs|s3)://[^/]", value):
        raise ValueError(f"found {shown(value)}; allowed: a local path, gs://… or s3://…")
    return value


def _check_folder_of_spans(value: str) -> str:
    # TFX takes these characters for a pattern and would look elsewhere.
    found = [character for character in "*?[]{}" if character in value]
    if found:
        raise ValueError(
            f"found {shown(value)}; allowed: the folder that holds the spans, without"
            f" {' '.join(found)}"
        )
    return value


def _check_labels(labels: tuple[str, ...]) -> tuple[str, ...]:
    if not labels:
        raise ValueError("found no name; allowed: one or more names")
    first: dict[str, int] = {}
    for number, label in enumerate(labels):
        if not label.strip():
            raise ValueError(f"found a blank name for class {number}; allowed: no blank ones")
        if not label.isprintable():
            raise ValueError(f"found {label!r} for class {number}; allowed: printable characters")
        if first.setdefault(label, number) != number:
            raise ValueError(
                f"found {shown(label)} for class {first[label]} and again for class {number};"
                " allowed: each name once"
            )
    return labels


def _check_unique(names: tuple[str, ...]) -> tuple[str, ...]:
    for number, name in enumerate(names):
        if not name.strip() or name in names[:number]:
            raise ValueError(f"found {shown(name)} twice or blank; allowed: each name once")
    return names


def _check_slices(names: tuple[str, ...]) -> tuple[str, ...]:
    if "image/encoded" in names:
        raise ValueError("found image/encoded; allowed: features that images share, not the images")
    return _check_unique(names)


Location = Annotated[
    str,
    AfterValidator(_check_location),
    Field(json_schema_extra={"allowed": "a local path, gs://… or s3://…"}),
]
# YAML has lists only; the models hold tuples so that a config cannot be changed.
Texts = Annotated[tuple[str, ...], Field(strict=False)]


class Section(BaseModel):
    """What all sections share: no unknown keys, no silent conversions, no changes."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, validate_default=True
    )


class Splits(Section):
    """Shares of the three splits, cut by a hash of each record."""

    train: float = Field(0.7, gt=0, lt=1, description="Share of records to learn from.")
    val: float = Field(0.15, gt=0, lt=1, description="Share that early stopping watches.")
    test: float = Field(0.15, gt=0, lt=1, description="Share that the model is judged on.")

    @model_validator(mode="after")
    def _sum_to_one(self) -> "Splits":
        total = self.train + self.val + self.test
        if not math.isclose(total, 1, rel_tol=0, abs_tol=1e-6):
            raise ValueError(
                f"found train {self.train:g} + val {self.val:g} + test {self.test:g}"
                f" = {total:g}; allowed: shares that sum to 1"
            )
        return self


class Data(Section):
    """Where the images come from."""

    root: Annotated[Location, AfterValidator(_check_folder_of_spans)] = Field(
        description="Folder that holds the data: span-0, span-1, … with train, val and test in"
        " each, or one span without its folder."
    )
    labels: Annotated[Texts, AfterValidator(_check_labels)] | Location | None = Field(
        None,
        description="Class names in the order of their ids: a list, or the path of a file with"
        " one name a line. If left out, labels.txt in data.root.",
        examples=[["cat", "dog"]],
        json_schema_extra={"allowed": "a list of names, or the path of a file with one a line"},
    )
    span: Literal["latest"] | Annotated[int, Field(ge=0)] = Field(
        "latest", description="Number of the span to use; latest takes the highest there is."
    )
    splits: Splits = Field(
        Splits(),
        description="How to cut data that has no train, val and test folders; shares sum to 1.",
    )


class Image(Section):
    """What becomes of an image before the backbone sees it."""

    size: Annotated[int, Field(ge=32, le=1024)] | None = Field(
        None,
        description="Side in pixels of the square given to the backbone; smaller is faster. If"
        " left out, the backbone's own size.",
        examples=[160],
    )
    crop: float = Field(
        1.0,
        gt=0,
        le=1,
        description="Side of the central square that is kept, as a share of the image's shorter"
        " side; 0.875 is ImageNet's evaluation crop.",
    )


class Backbone(Section):
    """The network that turns an image into an embedding."""

    name: str = Field(
        "efficientnet_lite0",
        description="Which network embeds the images.",
        json_schema_extra={"enum": list(catalog.names())},
    )
    weights: Location = Field(
        "bundled",
        description="Where its weights come from: bundled (installed with the package), none"
        " (random, for tests) or the path of a weights file, written with a / in it.",
        json_schema_extra={"allowed": "bundled, none, or a path with a / in it"},
    )

    @field_validator("name")
    @classmethod
    def _in_catalog(cls, value: str) -> str:
        if value not in catalog.names():
            names = ", ".join(catalog.names())
            raise ValueError(
                f"found {shown(value)}; allowed: {names}{guess(value, catalog.names())}"
            )
        return value

    @field_validator("weights")
    @classmethod
    def _known_or_path(cls, value: str, info: ValidationInfo) -> str:
        # Without a / it cannot be told from a misspelt word, so that is what marks a path.
        if "/" in value or "name" not in info.data:
            return value
        symbols = catalog.get(info.data["name"]).weights
        if value not in symbols:
            raise ValueError(
                f"found {shown(value)}; allowed for {info.data['name']}: {', '.join(symbols)},"
                f" or a path with a / in it{guess(value, symbols)}"
            )
        return value


class Trainer(Section):
    """How the classifier learns."""

    mode: Literal["head"] = Field(
        "head", description="What is trained: head keeps the backbone as it is."
    )
    epochs: int = Field(40, ge=1, le=10_000, description="Passes over the training data, at most.")
    batch_size: int = Field(64, ge=1, le=65_536, description="Examples in each training step.")
    optimizer: Literal["adam", "rmsprop", "sgd"] = Field(
        "adam", description="Rule by which each step changes the head's weights."
    )
    learning_rate: float = Field(
        3e-4, gt=0, le=10, description="Size of the first steps; lower it if the loss jumps."
    )
    schedule: Literal["constant", "cosine"] = Field(
        "cosine",
        description="How the learning rate goes on: constant, or falling to 0 along a cosine.",
    )
    hidden_units: Annotated[int, Field(ge=1)] | None = Field(
        512,
        description="Width of the hidden layer between embedding and classes; null for none.",
    )
    dropout: float = Field(
        0.5, ge=0, lt=1, description="Share of the head's inputs dropped in each training step."
    )
    normalize: bool = Field(
        True, description="Whether embeddings are scaled to mean 0 and variance 1 first."
    )
    weight_decay: float = Field(
        0.0,
        ge=0,
        description="How strongly large weights are pulled to 0; raise it if the head overfits.",
    )
    patience: int = Field(
        5, ge=1, description="Epochs without a better validation loss before training stops."
    )
    # Keras takes seeds of 32 bits.
    seed: int = Field(1, ge=0, le=2**32 - 1, description="Start of all random numbers in training.")


class Bound(Section):
    """What one metric must reach on the test split."""

    min: Annotated[float, Field(ge=0, le=1)] | None = Field(
        None, description="Lowest value that passes.", examples=[0.5]
    )
    max: Annotated[float, Field(ge=0, le=1)] | None = Field(
        None, description="Highest value that passes.", examples=[1.0]
    )

    @model_validator(mode="after")
    def _bounds_something(self) -> "Bound":
        if self.min is None and self.max is None:
            raise ValueError("found neither min nor max; allowed: one of them or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(
                f"found min {self.min:g} above max {self.max:g}; allowed: min up to max"
            )
        return self


class Drop(Section):
    """How one metric may compare with the model in production, both on the test split."""

    max_drop: float = Field(
        ge=0,
        le=1,
        description="How much worse than the model in production still passes: lower for most"
        " metrics, higher for expected_calibration_error.",
    )


Limit = TypeVar("Limit", Bound, Drop)


class PerMetric(Section, Generic[Limit]):
    """A limit for each metric; its fields are the one list of metrics that there is."""

    accuracy: Limit | None = Field(
        None,
        description="Share of images whose most probable class is the true one.",
    )
    top_3_accuracy: Limit | None = Field(
        None, description="Share of images whose true class is among the 3 most probable ones."
    )
    macro_precision: Limit | None = Field(
        None, description="Mean over classes of: share right among images given that class."
    )
    macro_recall: Limit | None = Field(
        None, description="Mean over classes of: share found among images of that class."
    )
    macro_f1: Limit | None = Field(
        None, description="Mean over classes of the harmonic mean of precision and recall."
    )
    expected_calibration_error: Limit | None = Field(
        None,
        description="Mean distance between the probability that the model states and the share"
        " that is right; lower is better.",
        examples=[{"max": 0.1}],
    )

    def limits(self) -> dict[str, Limit]:
        """Maps each metric that has a limit to it."""
        named = {metric: getattr(self, metric) for metric in METRICS}
        return {metric: limit for metric, limit in named.items() if limit is not None}


METRICS = tuple(PerMetric.model_fields)


class EachSlice(PerMetric[Bound]):
    """What every slice that is large enough must reach."""

    min_examples: int = Field(
        30, ge=1, description="Slices with fewer examples than this are not judged."
    )

    @model_validator(mode="after")
    def _bounds_something(self) -> "EachSlice":
        if not self.limits():
            raise ValueError(f"found no metric; allowed: one or more of {', '.join(METRICS)}")
        return self


class Thresholds(PerMetric[Bound]):
    """What a model must reach to be pushed."""

    accuracy: Bound | None = Field(
        Bound(min=0.5),
        description="Share of images whose most probable class is the true one. Set to null to"
        " drop this bound; another metric must then have one, as the Evaluator blesses no model"
        " without any.",
    )
    regression: PerMetric[Drop] = Field(
        PerMetric[Drop](accuracy=Drop(max_drop=0.01)),
        description="How much worse than the model in production a new one may be, for any of the"
        " metrics above; without a model in production it is not looked at.",
    )
    each_slice: EachSlice | None = Field(
        None,
        description="Bounds that every slice must meet by itself, for any of the metrics above.",
        examples=[{"min_examples": 30, "accuracy": {"min": 0.5}}],
    )

    @model_validator(mode="after")
    def _bounds_something(self) -> "Thresholds":
        if not self.limits():
            raise ValueError(
                "found no metric with min or max, and without one no model is ever blessed;"
                f" allowed: one or more of {', '.join(METRICS)}"
            )
        return self


class Evaluation(Section):
    """How a new model is judged."""

    slices: Annotated[Texts, AfterValidator(_check_slices)] = Field(
        (),
        description="Features by whose values metrics are also given, such as image/source."
        " Metrics by class always are.",
    )
    thresholds: Thresholds = Field(
        Thresholds(), description="What the new model must reach, or it is not pushed."
    )


class Push(Section):
    """Where models go that passed."""

    keep: int = Field(5, ge=1, description="How many versions stay in the model store.")


class Beam(Section):
    """How Beam runs the data steps."""

    args: Texts = Field(
        (), description="Options for Beam as it takes them, such as --direct_num_workers=2."
    )


class Config(Section):
    """Everything a pipeline can be told."""

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9_-]{0,127}$",
        description="Name of the pipeline and of the model that it pushes.",
        json_schema_extra={
            "allowed": "up to 128 lower-case letters, digits, hyphens and underscores,"
            " the first a letter or digit"
        },
    )
    data: Data = Field(description="Where the images come from.")
    image: Image = Field(Image(), description="What becomes of an image before the backbone.")
    backbone: Backbone = Field(
        Backbone(), description="The network that turns images into embeddings."
    )
    trainer: Trainer = Field(Trainer(), description="How the classifier learns.")
    evaluation: Evaluation = Field(Evaluation(), description="How a new model is judged.")
    push: Push = Field(Push(), description="What becomes of models that passed.")
    beam: Beam = Field(Beam(), description="How Beam runs the data steps.")
    output: Location = Field(
        "runs/{name}",
        description="Folder for all that runs make; {name} stands for the pipeline's name.",
    )

    @field_validator("output")
    @classmethod
    def _put_name(cls, value: str, info: ValidationInfo) -> str:
        put = value.replace("{name}", info.data.get("name", ""))
        if "{" in put or "}" in put:
            raise ValueError(f"found {shown(value)}; allowed: no braces other than {{name}}")
        return put

    @property
    def image_size(self) -> int:
        """Side in pixels of the square that the backbone gets."""
        return self.image.size or catalog.get(self.backbone.name).input_size


def load(path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Reads a config file.

    Args:
        path: the YAML file.
        overrides: settings that come before the file's, each as `section.key=value` with the
            value in YAML.

    Returns:
        The config, its local paths made absolute: relative ones start at the current directory.

    Raises:
        ConfigError: the file or an override cannot be read or says what is not allowed.
    """
    settings = _read(Path(path))
    overridden = {_override(settings, text) for text in overrides}
    resolved = resolve(validate(settings, str(path), overridden))
    # Once more, as the current directory may have put characters into paths that are not allowed.
    return validate(resolved.model_dump(mode="json"), str(path), overridden)


def validate(settings: Mapping[str, Any], origin: str, overridden: Collection[str] = ()) -> Config:
    """Makes a config of plain settings.

    Args:
        settings: section -> key -> value, as YAML or JSON gives them.
        origin: where they come from, for messages.
        overridden: the dotted keys that come from `--set` instead.

    Raises:
        ConfigError: a key is unknown or missing, or a value is not allowed; one line for each.
    """
    try:
        return Config.model_validate(settings)
    except ValidationError as error:
        lines = list(_lines(error, origin, overridden))
    if len(lines) > _MOST_LINES:
        lines[_MOST_LINES:] = [f"{origin}: {len(lines) - _MOST_LINES} more such errors"]
    raise ConfigError("\n".join(lines))


def resolve(config: Config) -> Config:
    """Makes the local paths in a config absolute."""
    data, backbone = config.data, config.backbone
    labels = _absolute(data.labels) if isinstance(data.labels, str) else data.labels
    data = data.model_copy(update={"root": _absolute(data.root), "labels": labels})
    if "/" in backbone.weights:
        backbone = backbone.model_copy(update={"weights": _absolute(backbone.weights)})
    return config.model_copy(
        update={"data": data, "backbone": backbone, "output": _absolute(config.output)}
    )


def read_labels(config: Config) -> tuple[str, ...]:
    """Returns the class names, in the order of their ids.

    Raises:
        ConfigError: the file of names is missing or empty, or holds a blank name or one name twice.
    """
    labels = config.data.labels
    if isinstance(labels, tuple):
        return labels
    path = labels if labels is not None else f"{config.data.root.rstrip('/')}/labels.txt"
    try:
        names = tuple(line.strip() for line in _text(path).rstrip().splitlines())
    except FileNotFoundError:
        raise ConfigError(
            f"data.labels: {path} does not exist; allowed: a file with one class name a line,"
            " or the list of names itself"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"data.labels: {path} cannot be read: {error}") from error
    try:
        return _check_labels(names)
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from error


def allowed(schema: Mapping[str, Any]) -> str:
    """Says in words which values a JSON schema of a field allows."""
    schema = _dereferenced(schema)
    if "allowed" in schema:
        return str(schema["allowed"])
    if "anyOf" in schema:
        return " or ".join(allowed(choice) for choice in schema["anyOf"])
    if "const" in schema or "enum" in schema:
        return " or ".join(schema.get("enum", [schema.get("const")]))
    kind = schema["type"]
    if kind == "object":
        return f"a mapping with {', '.join(schema['properties'])}"
    if kind == "array":
        return f"a list of {allowed(schema['items'])}"
    words = {
        "boolean": "true or false",
        "integer": "a whole number",
        "null": "null",
        "number": "a number",
        "string": "text",
    }
    bounds = {
        "minimum": "from",
        "exclusiveMinimum": "above",
        "maximum": "up to",
        "exclusiveMaximum": "and below",
    }
    limits = [f"{word} {schema[bound]}" for bound, word in bounds.items() if bound in schema]
    return " ".join([words[kind], *limits])


@functools.cache
def schema() -> dict[str, Any]:
    """Returns the JSON schema of `Config`: its keys with descriptions, ranges and defaults."""
    return Config.model_json_schema()


def properties(parent: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Returns the JSON schemas of the keys of a mapping; none if the schema is of something else.

    A mapping that may be null counts as one.
    """
    parent = _dereferenced(parent)
    for choice in parent.get("anyOf", []):
        parent = _dereferenced(choice) if "$ref" in choice else parent
    return {key: dict(_dereferenced(child)) for key, child in parent.get("properties", {}).items()}


def _dereferenced(part: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follows a reference into the schema's definitions; keys beside it win."""
    if "$ref" not in part:
        return part
    definition: dict[str, Any] = schema()["$defs"][part["$ref"].removeprefix("#/$defs/")]
    return {**definition, **part}


def _lines(error: ValidationError, origin: str, overridden: Collection[str]) -> Iterator[str]:
    """Yields one line for each wrong key: where it stands, what was found, what is allowed."""
    told = set()
    for detail in error.errors(include_url=False):
        unknown = detail["type"] in ("extra_forbidden", "invalid_key")
        location = detail["loc"]
        keys, found_at = [], schema()
        for part in location:
            # What follows the last key is pydantic's own: an index, or a member of a union.
            if part not in properties(found_at):
                break
            keys.append(str(part))
            found_at = properties(found_at)[str(part)]
        if unknown:
            message = f"unknown key; {_allowed_keys(str(location[-1]), keys, found_at)}"
            keys.append(str(location[-1]))
        elif detail["type"] == "missing":
            message = f"missing; needed: {allowed(found_at)}"
        elif detail["type"] == "value_error":
            message = str(detail["ctx"]["error"])
        else:
            message = f"found {shown(detail['input'])}; allowed: {allowed(found_at)}"
            if detail["type"] == "string_type" and isinstance(detail["input"], _LIKE_TEXT):
                message += "; put it in quotes if it is meant as text"
        key = ".".join(keys) or "top level"
        # Each member of a union adds an error of its own about the same key.
        if key in told:
            continue
        told.add(key)
        # A section can be wrong as a whole because of an override of one of its keys.
        by_override = any(
            f"{key}.".startswith(f"{other}.") or other.startswith(f"{key}.") for other in overridden
        )
        yield f"{'--set' if by_override else origin}: {key}: {message}"


def _allowed_keys(key: str, parents: Sequence[str], parent: Mapping[str, Any]) -> str:
    siblings = list(properties(parent))
    close = difflib.get_close_matches(key, siblings, n=1)
    if close:
        return f"did you mean {'.'.join([*parents, close[0]])}?"
    elsewhere = [full for full in _all_keys(schema()) if full.split(".")[-1] == key]
    if elsewhere:
        return f"did you mean {elsewhere[0]}?"
    return f"allowed: {', '.join(siblings)}"


def _all_keys(parent: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, child in properties(parent).items():
        yield f"{prefix}{key}"
        yield from _all_keys(child, f"{prefix}{key}.")


def guess(found: str, choices: Iterable[str]) -> str:
    """Ends a message with the choice that was probably meant, if there is one."""
    close = difflib.get_close_matches(found, list(choices), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def shown(value: object) -> str:
    """Shows a value as a config file would hold it, in short."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        return "a list" if value else "an empty list"
    if isinstance(value, float) and not math.isfinite(value):
        return f".{value}".replace(".-", "-.")
    if isinstance(value, datetime.date):
        return str(value)
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 200 else f"{text[:199]}…"


def _absolute(location: str) -> str:
    if is_remote(location):
        return location.rstrip("/")
    # Path.expanduser raises where there is no such user, this one leaves the path as it is.
    return str(Path(os.path.expanduser(location)).absolute())  # noqa: PTH111


def _text(path: str) -> str:
    if not is_remote(path):
        return Path(path).read_text(encoding="utf-8-sig")
    # Heavy, so only where nothing else in the stack can read the file.
    import tensorflow as tf

    try:
        with tf.io.gfile.GFile(path) as file:
            return str(file.read())
    except tf.errors.NotFoundError as error:
        raise FileNotFoundError(path) from error
    except tf.errors.OpError as error:
        raise OSError(error.message) from error


class _Loader(yaml.SafeLoader):
    """YAML's safe subset, where a key that stands twice in a mapping is an error."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise yaml.composer.ComposerError(
                        problem=f"key {key.value} stands twice", problem_mark=key.start_mark
                    )
                seen.add(key.value)
        return node


# PyYAML follows YAML 1.1, in which 1e-3 is text as it has no dot; YAML 1.2 reads it as a number.
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+$"),
    list("-+0123456789."),
)


def parse(text: str, origin: str) -> Any:
    """Parses YAML as config files are read: no key twice, 1e-3 is a number.

    Raises:
        ConfigError: it is not YAML.
    """
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        line = f" at line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigError(f"{origin}: not YAML{line}: {error.problem}") from error
    except (yaml.YAMLError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{origin}: not YAML: {reason}") from error


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: there is no such file; retrain init writes a config to start from"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(f"{path}: cannot be read: {reason}") from error
    settings = parse(text, str(path))
    if not isinstance(settings, dict):
        found = "nothing" if settings is None else shown(settings)
        raise ConfigError(f"{path}: found {found}; allowed: {allowed(schema())}")
    return settings


def _override(settings: dict[str, Any], text: str) -> str:
    """Puts one override into the settings that were read; returns its dotted key."""
    dotted, equals, value = text.partition("=")
    keys = dotted.strip().split(".")
    if not equals or not all(keys):
        raise ConfigError(f"--set {text}: allowed: section.key=value, as in trainer.epochs=10")
    parent = settings
    for key in keys[:-1]:
        if not isinstance(parent.get(key), dict):
            parent[key] = {}
        parent = parent[key]
    parent[keys[-1]] = parse(value, f"--set {dotted}")
    return ".".join(keys)
