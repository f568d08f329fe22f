"""The graph, wired once for every runner: read top to bottom, it is the story of a run."""

from __future__ import annotations

from collections.abc import Sequence

from ml_metadata.proto import metadata_store_pb2
from tensorflow_data_validation import StatsOptions
from tfx.components import (
    ExampleValidator,
    StatisticsGen,
    Trainer,
    Tuner,
)
from tfx.components.schema_gen.import_schema_gen.component import ImportSchemaGen
from tfx.orchestration.pipeline import Pipeline
from tfx.proto import example_gen_pb2, range_config_pb2, trainer_pb2, transform_pb2

from components.data_gate import DataGate
from components.edge_gate import EdgeGate
from components.evaluator.component import Evaluator
from components.image_example_gen import ImageExampleGen
from components.image_example_gen.checks import Checks
from components.production_model import ProductionModel
from components.pusher import Pusher
from components.report.component import Report
from components.serving_validator import ServingValidator
from components.serving_validator.checks import Bounds
from components.span_drift import SpanDrift
from components.transform import Transform
from pipeline import evaluation
from pipeline.config import Config, ConfigError, Data, Splits
from pipeline.schema import curated
from pipeline.spans import SPLITS, Span
from trainer import learning, preprocessing
from trainer.job import Job


def create_pipeline(
    config: Config, span: Span, labels: Sequence[str], schema_file: str, commit: str
) -> Pipeline:
    """Wires the components; nothing runs and nothing is written.

    Args:
        config: what the user asked for.
        span: where the data lies and whether it comes in split folders.
        labels: class names; the index in this list is the class id.
        schema_file: the curated schema as text; see `pipeline.schema`.
        commit: the code's, for the report; see `pipeline.commit`.

    Raises:
        ConfigError: the backbone or its weights cannot be used, or what is asked for cannot be
            learnt.
    """
    recipe = _recipe(config, labels)
    store = config.model_store

    # A span of images comes in, split into train, val and test; what is amiss is set aside.
    example_gen = ImageExampleGen(
        input_base=span.base,
        input_config=_input(span),
        checks=_checks(config.data, labels),
        output_config=None if span.splits else _cut(config.data.splits),
        range_config=_range(config.data) if span.numbered else None,
    ).with_id("example-gen")
    examples = example_gen.outputs["examples"]

    # Nothing goes on unless the data is what the curated schema says and nearly all of it came in;
    # by config, nor if it is unlike the span before.
    schema_gen = ImportSchemaGen(schema_file=schema_file).with_id("schema-gen")
    schema = schema_gen.outputs["schema"]
    statistics_gen = StatisticsGen(
        examples=examples, schema=schema, stats_options=_statistics(labels, config)
    ).with_id("statistics-gen")
    example_validator = ExampleValidator(
        statistics=statistics_gen.outputs["statistics"], schema=schema
    ).with_id("example-validator")
    span_drift = SpanDrift(
        examples=examples,
        statistics=statistics_gen.outputs["statistics"],
        statistics_store=statistics_store(config),
        max_divergence=config.data.drift.max_divergence,
        max_label_distance=config.data.drift.max_label_distance,
    ).with_id("span-drift")
    data_gate = DataGate(
        examples=examples,
        anomalies=example_validator.outputs["anomalies"],
        statistics=statistics_gen.outputs["statistics"],
        drift=span_drift.outputs["drift"],
        statistics_store=statistics_store(config),
        drift_action=config.data.drift.action,
        max_quarantined=config.data.checks.max_quarantined,
        min_class_images=config.data.checks.min_class_images,
    ).with_id("data-gate")

    # Every image is decoded, resized and embedded, once.
    transform = Transform(
        examples=examples,
        schema=schema,
        preprocessing_fn=f"{preprocessing.__name__}.preprocessing_fn",
        custom_config=recipe.model_dump(mode="json"),
        splits_config=transform_pb2.SplitsConfig(analyze=["train"], transform=SPLITS),
        disable_statistics=True,
    ).with_id("transform")
    transform.add_upstream_node(data_gate)
    embedded = transform.outputs["transformed_examples"]

    # Where asked for, heads are trained to find how the one to keep is trained best.
    job = _job(config, recipe)
    tuner = None
    if config.tuner is not None:
        tuner = Tuner(
            tuner_fn="trainer.tuning.tuner_fn",
            examples=embedded,
            transform_graph=transform.outputs["transform_graph"],
            schema=schema,
            train_args=trainer_pb2.TrainArgs(splits=["train"]),
            eval_args=trainer_pb2.EvalArgs(splits=["val"]),
            custom_config={**job, "tuner": config.tuner.model_dump(mode="json")},
        ).with_id("tuner")

    # The model learns on train, and stops when val no longer gains.
    trainer = Trainer(
        run_fn="trainer.train.run_fn",
        examples=embedded,
        transform_graph=transform.outputs["transform_graph"],
        schema=schema,
        train_args=trainer_pb2.TrainArgs(splits=["train"]),
        eval_args=trainer_pb2.EvalArgs(splits=["val"]),
        hyperparameters=None if tuner is None else tuner.outputs["best_hyperparameters"],
        custom_config=job,
    ).with_id("trainer")
    model = trainer.outputs["model"]

    # It is judged on test, beside the model in production.
    production_model = ProductionModel(model_store=store, labels=labels).with_id("production-model")
    evaluator = Evaluator(
        examples=embedded,
        model=model,
        baseline_model=production_model.outputs["model"],
        example_splits=["test"],
        eval_config=evaluation.eval_config(config.evaluation, labels),
        labels=labels,
        slice_bounds=evaluation.slice_bounds(config.evaluation),
    ).with_id("evaluator")

    # A server must answer real requests with it, as the Evaluator saw it.
    serving_validator = ServingValidator(
        model=model,
        examples=embedded,
        labels=labels,
        bounds=Bounds(**config.serving.model_dump()),
    ).with_id("serving-validator")
    serving_validator.add_upstream_node(evaluator)

    # Only what met every bound is pushed.
    pusher = Pusher(
        model=model,
        model_blessing=evaluator.outputs["blessing"],
        infra_blessing=serving_validator.outputs["blessing"],
        model_store=store,
        keep=config.push.keep,
    ).with_id("pusher")

    # What small devices get must answer as what is served does.
    edge_gate = None
    if config.export.tflite != "none":
        edge_gate = EdgeGate(
            examples=embedded,
            model=model,
            min_agreement=config.export.min_agreement,
            max_accuracy_drop=config.export.max_accuracy_drop,
        ).with_id("edge-gate")
        pusher.add_upstream_node(edge_gate)

    # Pushed or refused, one page says what happened.
    report = Report(
        examples=examples,
        statistics=statistics_gen.outputs["statistics"],
        drift=span_drift.outputs["drift"],
        transformed=embedded,
        model_run=trainer.outputs["model_run"],
        evaluation=evaluator.outputs["evaluation"],
        serving=serving_validator.outputs["blessing"],
        production=production_model.outputs["model"],
        pushed=pusher.outputs["pushed_model"],
        name=config.name,
        labels=labels,
        card=config.card.model_dump(),
        config=config.model_dump(mode="json"),
        commit=commit,
    ).with_id("report")

    return Pipeline(
        pipeline_name=config.name,
        pipeline_root=f"{config.output}/artifacts",
        components=[
            example_gen,
            schema_gen,
            statistics_gen,
            example_validator,
            span_drift,
            data_gate,
            transform,
            *([tuner] if tuner is not None else []),
            trainer,
            production_model,
            evaluator,
            serving_validator,
            *([edge_gate] if edge_gate is not None else []),
            pusher,
            report,
        ],
        enable_cache=True,
        metadata_connection_config=_sqlite(metadata_file(config)),
        beam_pipeline_args=list(config.beam.args),
    )


def statistics_store(config: Config) -> str:
    """Returns the folder of the statistics of spans that passed the data gate."""
    return f"{config.output}/statistics"


def metadata_file(config: Config) -> str:
    """Returns the sqlite database of ML Metadata."""
    return f"{config.output}/metadata.db"


def _sqlite(file: str) -> metadata_store_pb2.ConnectionConfig:
    # TFX's own function makes the folder, and whoever compiles for a cluster does not have it.
    config = metadata_store_pb2.ConnectionConfig()
    config.sqlite.filename_uri = file
    config.sqlite.connection_mode = (
        metadata_store_pb2.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
    )
    return config


def _input(span: Span) -> example_gen_pb2.Input:
    return example_gen_pb2.Input(
        splits=[
            example_gen_pb2.Input.Split(name=name, pattern=pattern)
            for name, pattern in span.patterns.items()
        ]
    )


def _range(data: Data) -> range_config_pb2.RangeConfig:
    if data.span == "latest":
        rolling = range_config_pb2.RollingRange(num_spans=data.window)
        return range_config_pb2.RangeConfig(rolling_range=rolling)
    first = max(0, data.span + 1 - data.window)
    fixed = range_config_pb2.StaticRange(start_span_number=first, end_span_number=data.span)
    return range_config_pb2.RangeConfig(static_range=fixed)


def _checks(data: Data, labels: Sequence[str]) -> Checks:
    """Leaves out what decides only whether a span is refused: that need not read it again."""
    options = data.checks.model_dump(exclude={"max_quarantined", "min_class_images"})
    return Checks(labels=tuple(labels), group=data.group, **options)


def _statistics(labels: Sequence[str], config: Config) -> StatsOptions:
    """Leaves out what the schema does not name, such as bytes that would be read as text."""
    names = [feature.name for feature in curated(labels, config.evaluation.slices).feature]
    return StatsOptions(feature_allowlist=names)


def _cut(splits: Splits) -> example_gen_pb2.Output:
    shares = [(name, round(10_000 * getattr(splits, name))) for name in SPLITS]
    return example_gen_pb2.Output(
        split_config=example_gen_pb2.SplitConfig(
            splits=[
                example_gen_pb2.SplitConfig.Split(name=name, hash_buckets=buckets)
                for name, buckets in shares
            ]
        )
    )


def _recipe(config: Config, labels: Sequence[str]) -> preprocessing.Recipe:
    backbone, weights = config.backbone.source
    try:
        return preprocessing.recipe(
            size=config.image_size,
            crop=config.image.crop,
            backbone=None if config.trainer.mode == "scratch" else backbone,
            weights=weights,
            labels=labels,
            slices=config.evaluation.slices,
        )
    except (ValueError, FileNotFoundError) as error:
        raise ConfigError(str(error)) from error


def _job(config: Config, recipe: preprocessing.Recipe) -> dict[str, object]:
    job = Job(recipe=recipe, trainer=config.trainer, export=config.export)
    try:
        learning.check(job)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    return job.custom_config()
