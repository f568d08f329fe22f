"""The plain pipeline's graph, and a command that runs it once: `python -m ….plain_tfx.pipeline`.

It follows the design of TFX's former CIFAR-10 example: Transform materialises resized float32
pixels and computes their statistics, as by default; Trainer reads the pixels. All else is TFX's own
with its defaults. Where that example and TFX's current templates differ, this takes the cheaper
way: the Evaluator reads raw examples, not pixels.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from tensorflow_model_analysis.proto import config_pb2
from tfx.components import (
    Evaluator,
    ExampleValidator,
    ImportExampleGen,
    Pusher,
    SchemaGen,
    StatisticsGen,
    Trainer,
    Transform,
)
from tfx.orchestration.beam.beam_dag_runner import BeamDagRunner
from tfx.orchestration.metadata import sqlite_metadata_connection_config
from tfx.orchestration.pipeline import Pipeline
from tfx.proto import example_gen_pb2, pusher_pb2, trainer_pb2

from benchmarks.plain_tfx import model
from pipeline.history.metadata import History
from trainer.features import LABEL

_NAME = "plain"
_SPLITS = ("train", "val", "test")


def create_pipeline(span: Path, size: int, classes: int, output: Path) -> Pipeline:
    """Returns the pipeline, whose runs write everything to the folder `output`."""
    custom_config = {"size": size, "classes": classes}
    splits = [example_gen_pb2.Input.Split(name=name, pattern=f"{name}/*") for name in _SPLITS]
    example_gen = ImportExampleGen(
        input_base=str(span), input_config=example_gen_pb2.Input(splits=splits)
    ).with_id("example-gen")
    examples = example_gen.outputs["examples"]
    statistics_gen = StatisticsGen(examples=examples).with_id("statistics-gen")
    statistics = statistics_gen.outputs["statistics"]
    schema_gen = SchemaGen(statistics=statistics).with_id("schema-gen")
    schema = schema_gen.outputs["schema"]
    example_validator = ExampleValidator(statistics=statistics, schema=schema).with_id(
        "example-validator"
    )
    transform = Transform(
        examples=examples,
        schema=schema,
        preprocessing_fn=f"{model.__name__}.preprocessing_fn",
        custom_config=custom_config,
    ).with_id("transform")
    trainer = Trainer(
        run_fn=f"{model.__name__}.run_fn",
        examples=transform.outputs["transformed_examples"],
        transform_graph=transform.outputs["transform_graph"],
        schema=schema,
        train_args=trainer_pb2.TrainArgs(splits=["train"]),
        eval_args=trainer_pb2.EvalArgs(splits=["val"]),
        custom_config=custom_config,
    ).with_id("trainer")
    evaluator = Evaluator(
        examples=examples,
        model=trainer.outputs["model"],
        example_splits=["test"],
        eval_config=_eval_config(),
    ).with_id("evaluator")
    folder = pusher_pb2.PushDestination.Filesystem(base_directory=str(output / "models"))
    pusher = Pusher(
        model=trainer.outputs["model"],
        model_blessing=evaluator.outputs["blessing"],
        push_destination=pusher_pb2.PushDestination(filesystem=folder),
    ).with_id("pusher")
    checks = [statistics_gen, schema_gen, example_validator]
    return Pipeline(
        pipeline_name=_NAME,
        pipeline_root=str(output / "artifacts"),
        components=[example_gen, *checks, transform, trainer, evaluator, pusher],
        metadata_connection_config=sqlite_metadata_connection_config(_database(output)),
    )


def _database(output: Path) -> str:
    return str(output / "metadata.db")


def _eval_config() -> config_pb2.EvalConfig:
    # Any accuracy is blessed, so that the Pusher has its work too.
    threshold = config_pb2.MetricThreshold()
    threshold.value_threshold.lower_bound.value = 0.0
    accuracy = config_pb2.MetricConfig(class_name="SparseCategoricalAccuracy", threshold=threshold)
    return config_pb2.EvalConfig(
        model_specs=[config_pb2.ModelSpec(label_key=LABEL)],
        slicing_specs=[config_pb2.SlicingSpec()],
        metrics_specs=[config_pb2.MetricsSpec(metrics=[accuracy])],
    )


def main() -> None:
    """Runs the pipeline; prints the seconds of each component as JSON in the last line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--span", type=Path, required=True)
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--classes", type=int, required=True)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    options.output.mkdir(parents=True)
    graph = create_pipeline(options.span, options.size, options.classes, options.output)
    BeamDagRunner().run(graph)
    history = History(_database(options.output), _NAME)
    runs = history.components(history.runs()[-1], [component.id for component in graph.components])
    components = [{"id": run.id, "state": run.state, "seconds": run.seconds} for run in runs]
    print(json.dumps({"components": components}))


if __name__ == "__main__":
    main()
