"""Builds the graph's nodes: translates the config into TFX's terms."""

from collections.abc import Sequence
from typing import Any

from ml_metadata.proto import metadata_store_pb2
from tensorflow_data_validation import StatsOptions
from tfx.components import StatisticsGen, Trainer, Tuner
from tfx.proto import example_gen_pb2, range_config_pb2, trainer_pb2, transform_pb2
from tfx.types.channel import BaseChannel

from components.image_example_gen.component import ImageExampleGen
from components.image_example_gen.options import ALL, Rules, Splits
from components.transform.component import Transform
from pipeline.config import Config, ConfigError
from pipeline.config.data import Data
from pipeline.data.spans import Span
from pipeline.data.split_roles import SPLITS
from pipeline.graph.schema import curated
from trainer import learning, preprocessing
from trainer.job import Job
from trainer.options import tuning as options


def sqlite(file: str) -> metadata_store_pb2.ConnectionConfig:
    """Returns the connection to ML Metadata's sqlite file.

    TFX's own function would create the file's folder, which may lie on the cluster only.
    """
    config = metadata_store_pb2.ConnectionConfig()
    config.sqlite.filename_uri = file
    config.sqlite.connection_mode = config.sqlite.READWRITE_OPENCREATE
    return config


def example_gen(config: Config, span: Span, labels: Sequence[str]) -> ImageExampleGen:
    """Builds ExampleGen, which reads a window of spans and cuts what comes without splits."""
    data = config.data
    return ImageExampleGen(
        input_base=span.base,
        input_config=_patterns(span),
        rules=Rules(
            labels=tuple(labels), group=data.group, features=data.features, checks=data.checks
        ),
        output_config=_cut(data.splits, span.cut) if span.cut else None,
        range_config=_window(data) if span.numbered else None,
    )


def statistics_gen(
    config: Config, labels: Sequence[str], examples: BaseChannel, schema: BaseChannel
) -> StatisticsGen:
    """Builds StatisticsGen for the schema's features; TFDV would read any others as text."""
    names = [feature.name for feature in curated(labels, config.evaluation.slices).feature]
    options = StatsOptions(feature_allowlist=names)
    return StatisticsGen(examples=examples, schema=schema, stats_options=options)


def transform(
    recipe: preprocessing.Recipe, examples: BaseChannel, schema: BaseChannel
) -> Transform:
    """Builds the Transform, which decodes, resizes and embeds each image once."""
    return Transform(
        examples=examples,
        schema=schema,
        preprocessing_fn=f"{preprocessing.__name__}.preprocessing_fn",
        custom_config=recipe.model_dump(mode="json"),
        splits_config=transform_pb2.SplitsConfig(analyze=["train"], transform=SPLITS),
        disable_statistics=True,
    )


def tuner(job: Job, search: options.Tuner, embedded: Transform, schema: BaseChannel) -> Tuner:
    """Builds the Tuner, which searches hyperparameters of the head."""
    return Tuner(
        tuner_fn="trainer.tuning.tuner_fn",
        custom_config={**job.custom_config(), "tuner": search.model_dump(mode="json")},
        **_splits(embedded, schema),
    )


def trainer(
    job: Job, embedded: Transform, schema: BaseChannel, hyperparameters: BaseChannel | None
) -> Trainer:
    """Builds the Trainer, which learns on train and stops when val no longer improves."""
    return Trainer(
        run_fn="trainer.train.run_fn",
        custom_config=job.custom_config(),
        hyperparameters=hyperparameters,
        **_splits(embedded, schema),
    )


def _splits(embedded: Transform, schema: BaseChannel) -> dict[str, Any]:
    return {
        "examples": embedded.outputs["transformed_examples"],
        "transform_graph": embedded.outputs["transform_graph"],
        "schema": schema,
        "train_args": trainer_pb2.TrainArgs(splits=["train"]),
        "eval_args": trainer_pb2.EvalArgs(splits=["val"]),
    }


def _patterns(span: Span) -> example_gen_pb2.Input:
    """Returns ExampleGen's input: the glob of each split's files."""
    split = example_gen_pb2.Input.Split
    # In a fixed order, as a compiled pipeline wires the graph again from sorted JSON.
    names = [name for name in (ALL, *SPLITS) if name in span.patterns]
    found = [split(name=name, pattern=span.patterns[name]) for name in names]
    return example_gen_pb2.Input(splits=found)


def _window(data: Data) -> range_config_pb2.RangeConfig:
    """Returns the range of spans to learn from: the newest, or those up to `data.span`."""
    if data.span == "latest":
        rolling = range_config_pb2.RollingRange(num_spans=data.window)
        return range_config_pb2.RangeConfig(rolling_range=rolling)
    first = max(0, data.span + 1 - data.window)
    fixed = range_config_pb2.StaticRange(start_span_number=first, end_span_number=data.span)
    return range_config_pb2.RangeConfig(static_range=fixed)


def _cut(splits: Splits, names: Sequence[str]) -> example_gen_pb2.Output:
    """Returns the split config by which ExampleGen cuts records into the splits of `names`."""
    output = example_gen_pb2.Output()
    for name in names:
        buckets = round(10_000 * getattr(splits, name))
        output.split_config.splits.add(name=name, hash_buckets=buckets)
    return output


def recipe(config: Config, labels: Sequence[str]) -> preprocessing.Recipe:
    """Returns the recipe by which Transform prepares and embeds each image.

    Raises:
        ConfigError: the backbone or its weights cannot be used.
    """
    backbone, weights = config.backbone.source
    try:
        return preprocessing.recipe(
            size=config.image_size,
            crop=config.image.crop,
            backbone=None if config.trainer.mode == "scratch" else backbone,
            weights=weights,
            labels=labels,
            slices=config.evaluation.slices,
            max_pixels=config.data.checks.max_pixels,
        )
    except (ValueError, FileNotFoundError) as error:
        raise ConfigError(str(error)) from error


def job(config: Config, image: preprocessing.Recipe) -> Job:
    """Returns the job of Tuner and Trainer: recipe, training options and export options.

    Raises:
        ConfigError: a training option does not fit the labels or the network.
    """
    found = Job(recipe=image, trainer=config.trainer, export=config.export)
    try:
        learning.check(found)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    return found
