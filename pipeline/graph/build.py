"""Wires the components into one graph for every runner, in the order in which they run."""

from collections.abc import Sequence
from typing import TypeVar

from tfx.components import ExampleValidator
from tfx.components.schema_gen.import_schema_gen.component import ImportSchemaGen
from tfx.dsl.components.base.base_component import BaseComponent
from tfx.orchestration.pipeline import Pipeline

from components.data_gate.component import DataGate
from components.edge_gate.component import EdgeGate
from components.evaluator.component import Evaluator
from components.production_model.component import ProductionModel
from components.pusher.component import Pusher
from components.report.component import Report
from components.serving_validator.component import serving_validator
from components.span_drift.component import SpanDrift
from pipeline.config import Config
from pipeline.data.spans import Span
from pipeline.graph import nodes, parts

_Component = TypeVar("_Component", bound=BaseComponent)


def create_pipeline(
    config: Config, span: Span, labels: Sequence[str], schema_file: str, commit: str
) -> Pipeline:
    """Returns the pipeline of wired components; nothing runs and nothing is written.

    Args:
        config: what the user asked for.
        span: where the data lies and whether it comes in split folders.
        labels: class names.
        schema_file: the curated schema as text; see `pipeline.graph.schema`.
        commit: git commit of the code, for the report; see `pipeline.history.commit`.

    Raises:
        ConfigError: the backbone or its weights cannot be used, or a training option does not fit
            the labels or the network.
    """
    story = _Story(config, labels)
    story.bring_in(span, schema_file)
    story.check()
    story.learn()
    story.judge()
    story.ship()
    story.tell(commit)
    return Pipeline(
        pipeline_name=config.name,
        pipeline_root=f"{config.output}/artifacts",
        components=story.nodes,
        enable_cache=True,
        metadata_connection_config=parts.sqlite(config.metadata_file),
        beam_pipeline_args=list(config.beam.args),
    )


class _Story:
    """Collects the nodes of a run; each method adds some, in the order in which they run."""

    def __init__(self, config: Config, labels: Sequence[str]) -> None:
        self.nodes: list[BaseComponent] = []
        self.config, self.labels = config, labels
        self.recipe = parts.recipe(config, labels)
        self.job = parts.job(config, self.recipe)

    def _add(self, node: str, component: _Component) -> _Component:
        self.nodes.append(component.with_id(node))
        return component

    def bring_in(self, span: Span, schema_file: str) -> None:
        """Adds the nodes that read a window of spans, cut it into splits and compute statistics."""
        example_gen = parts.example_gen(self.config, span, self.labels)
        self.examples = self._add(nodes.EXAMPLE_GEN, example_gen).outputs["examples"]
        schema_gen = ImportSchemaGen(schema_file=schema_file)
        self.schema = self._add(nodes.SCHEMA_GEN, schema_gen).outputs["schema"]
        statistics_gen = parts.statistics_gen(self.config, self.labels, self.examples, self.schema)
        self.statistics = self._add(nodes.STATISTICS_GEN, statistics_gen).outputs["statistics"]

    def check(self) -> None:
        """Adds the gate that stops a run whose data breaks the schema, lost images, or drifted."""
        data, store = self.config.data, self.config.statistics_store
        validator = ExampleValidator(statistics=self.statistics, schema=self.schema)
        anomalies = self._add(nodes.EXAMPLE_VALIDATOR, validator).outputs["anomalies"]
        span_drift = SpanDrift(
            examples=self.examples,
            statistics_store=store,
            options=data.drift.model_copy(update={"action": "warn"}),
        )
        self.drift = self._add(nodes.SPAN_DRIFT, span_drift).outputs["drift"]
        self.data_gate = DataGate(
            examples=self.examples,
            anomalies=anomalies,
            drift=self.drift,
            statistics_store=store,
            drift_action=data.drift.action,
            max_quarantined=data.checks.max_quarantined,
            min_class_images=data.checks.min_class_images,
            min_test_images=self.config.evaluation.min_class_images,
        )
        self._add(nodes.DATA_GATE, self.data_gate)

    def learn(self) -> None:
        """Adds the nodes that embed each image once, and train on train with validation on val."""
        transform = parts.transform(self.recipe, self.examples, self.schema)
        self._add(nodes.TRANSFORM, transform).add_upstream_node(self.data_gate)
        self.embedded = transform.outputs["transformed_examples"]
        found = None
        if self.config.tuner is not None:
            tuner = parts.tuner(self.job, self.config.tuner, transform, self.schema)
            found = self._add(nodes.TUNER, tuner).outputs["best_hyperparameters"]
        trainer = self._add(nodes.TRAINER, parts.trainer(self.job, transform, self.schema, found))
        self.model, self.model_run = trainer.outputs["model"], trainer.outputs["model_run"]

    def judge(self) -> None:
        """Adds the nodes that compare the model with production's on test, and try to serve it."""
        production = ProductionModel(model_store=self.config.model_store, labels=self.labels)
        self.production = self._add(nodes.PRODUCTION_MODEL, production).outputs["model"]
        self.evaluator = Evaluator(
            examples=self.embedded,
            model=self.model,
            baseline_model=self.production,
            labels=self.labels,
            evaluation=self.config.evaluation,
        )
        self._add(nodes.EVALUATOR, self.evaluator)
        self.serving_validator = serving_validator(
            model=self.model,
            examples=self.embedded,
            labels=self.labels,
            serving=self.config.serving,
        )
        self._add(nodes.SERVING_VALIDATOR, self.serving_validator)
        self.serving_validator.add_upstream_node(self.evaluator)

    def ship(self) -> None:
        """Adds the Pusher, and before it the gate for the TensorFlow Lite model, if any."""
        self.pusher = Pusher(
            model=self.model,
            model_blessing=self.evaluator.outputs["blessing"],
            infra_blessing=self.serving_validator.outputs["blessing"],
            model_store=self.config.model_store,
            keep=self.config.push.keep,
        )
        export = self.config.export
        if export.tflite != "none":
            edge_gate = EdgeGate(
                examples=self.embedded,
                model=self.model,
                min_agreement=export.min_agreement,
                max_accuracy_drop=export.max_accuracy_drop,
            )
            self.pusher.add_upstream_node(self._add(nodes.EDGE_GATE, edge_gate))
        self._add(nodes.PUSHER, self.pusher)

    def tell(self, commit: str) -> None:
        """Adds the Report, which writes a page on the run if the model is pushed or refused."""
        report = Report(
            examples=self.examples,
            statistics=self.statistics,
            drift=self.drift,
            transformed=self.embedded,
            model=self.model,
            model_run=self.model_run,
            evaluation=self.evaluator.outputs["evaluation"],
            serving=self.serving_validator.outputs["blessing"],
            production=self.production,
            pushed=self.pusher.outputs["pushed_model"],
            labels=self.labels,
            config=self.config.model_dump(mode="json"),
            commit=commit,
        )
        self._add(nodes.REPORT, report)
