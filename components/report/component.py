"""The Report component, the last of the graph: one page on a run, whether pushed or refused."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

from tfx import types
from tfx.components.example_gen.utils import FINGERPRINT_PROPERTY_NAME
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.types import artifact_utils, component_spec, standard_artifacts
from tfx.types.channel import BaseChannel, Channel
from tfx.utils import io_utils, json_utils

from components.production_model import component as production_model
from components.pusher import component as pusher
from components.report import gathering, rendering
from components.report.gathering import Sources
from components.report.options import Card
from components.report.page import Made
from components.suspects import report as suspects
from trainer import fingerprint

OPTIONS_KEY = "options"
REPORT_KEY = "report"
PAGE_FILE, DATA_FILE = "report.html", "page.json"


class ReportSpec(component_spec.ComponentSpec):
    """Parameters, inputs and outputs of the component."""

    PARAMETERS = {OPTIONS_KEY: component_spec.ExecutionParameter(type=str)}
    INPUTS = {
        key: component_spec.ChannelParameter(type=kind)
        for key, kind in {
            "examples": standard_artifacts.Examples,  # ImageExampleGen's
            "statistics": standard_artifacts.ExampleStatistics,
            "drift": standard_artifacts.ExampleAnomalies,  # SpanDrift's
            "transformed": standard_artifacts.Examples,  # Transform's
            "model": standard_artifacts.Model,  # the Trainer's
            "model_run": standard_artifacts.ModelRun,  # the Trainer's
            "evaluation": standard_artifacts.ModelEvaluation,
            "serving": standard_artifacts.InfraBlessing,  # the ServingValidator's
            "production": standard_artifacts.Model,  # ProductionModel's
            "pushed": standard_artifacts.PushedModel,
        }.items()
    }
    OUTPUTS = {REPORT_KEY: component_spec.ChannelParameter(type=standard_artifacts.ModelEvaluation)}


class Executor(base_executor.BaseExecutor):
    """Writes the page as HTML, its content as JSON, and all suspects as JSON."""

    def Do(  # noqa: N802, the name is TFX's
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Gathers the page's content from the input artifacts, and writes JSON and HTML."""
        options = json_utils.loads(exec_properties[OPTIONS_KEY])
        config = options["config"]
        inputs = {
            key: artifact_utils.get_single_instance(found) for key, found in input_dict.items()
        }
        version = inputs["production"].get_int_custom_property(production_model.VERSION_KEY)
        was_pushed = inputs["pushed"].get_int_custom_property(pusher.PUSHED_KEY)
        pushed = inputs["pushed"].get_string_custom_property(pusher.VERSION_KEY)
        found = suspects.find(inputs["transformed"].uri)
        page = gathering.gather(
            Sources(
                **{key: inputs[key].uri for key in inputs.keys() - {"production", "pushed"}},
                production=None if version == production_model.NO_VERSION else version,
                pushed=int(pushed) if was_pushed else None,
            ),
            name=config["name"],
            run=self._context.pipeline_run_id or "" if self._context else "",
            labels=options["labels"],
            card=Card.model_validate(config["card"]),
            made=Made(
                config=config,
                commit=options["commit"],
                fingerprint=inputs["examples"].get_string_custom_property(
                    FINGERPRINT_PROPERTY_NAME
                ),
                packages=gathering.packages(),
            ),
            suspected=found,
        )
        page = dataclasses.replace(page, date=time.time())
        folder = artifact_utils.get_single_uri(output_dict[REPORT_KEY])
        if found is not None:
            io_utils.write_string_file(os.path.join(folder, suspects.FILE_NAME), found.to_json())
        io_utils.write_string_file(os.path.join(folder, DATA_FILE), page.to_json())
        io_utils.write_string_file(os.path.join(folder, PAGE_FILE), rendering.render(page))


class Report(base_component.BaseComponent):
    """Writes one page on a run: whether the model is better, its mistakes, its calibration.

    Config and commit are parameters of the component, so ML Metadata records them for each run.
    """

    SPEC_CLASS = ReportSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        *,
        labels: Sequence[str],
        config: Mapping[str, Any],
        commit: str,
        **inputs: BaseChannel,
    ) -> None:
        """Declares the component.

        Args:
            labels: class names; the index in this list is the class id.
            config: the whole config, with values that JSON can represent.
            commit: git commit of the code; "" if unknown.
            **inputs: a channel for each of `ReportSpec.INPUTS`.
        """
        options = {
            "labels": list(labels),
            "config": dict(config),
            "commit": commit,
            # Nothing reads it, but it lets TFX's cache key change with the code of the page.
            "code": fingerprint.digest(("report", "suspects"), {}, "components"),
        }
        report = Channel(type=standard_artifacts.ModelEvaluation)
        super().__init__(
            ReportSpec(**inputs, report=report, **{OPTIONS_KEY: json_utils.dumps(options)})
        )
