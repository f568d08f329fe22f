"""TFX's Evaluator with four additions.

The baseline may be an empty model (the first run has no production model); slices with enough
examples are held to bounds of their own; the outcome is also written as a scorecard; and what the
models answered to each image is kept.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow_model_analysis as tfma
from tfx import types
from tfx.components.evaluator import component as tfx_evaluator
from tfx.components.evaluator import constants
from tfx.components.evaluator import executor as tfx_executor
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.dsl.io import fileio
from tfx.types import artifact_utils, component_spec, standard_artifacts, standard_component_specs
from tfx.types.channel import BaseChannel, Channel
from tfx.utils import io_utils, json_utils

from components.evaluator import extractors, predictions, scorecard
from components.production_model import component as production_model
from trainer import fingerprint

_SCORECARD_KEY = "scorecard"


class EvaluatorSpec(standard_component_specs.EvaluatorSpec):
    """TFX's spec and what the scorecard needs."""

    PARAMETERS = {
        **standard_component_specs.EvaluatorSpec.PARAMETERS,
        _SCORECARD_KEY: component_spec.ExecutionParameter(type=str),
    }


class Executor(tfx_executor.Executor):
    """TFX's executor, framed by the additions."""

    def Do(  # noqa: N802, the name is TFX's
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Evaluates, blesses or not, and writes the scorecard into the evaluation."""
        baselines = input_dict[standard_component_specs.BASELINE_MODEL_KEY]
        inputs = {
            **input_dict,
            standard_component_specs.BASELINE_MODEL_KEY: [
                model
                for model in baselines
                if model.get_int_custom_property(production_model.VERSION_KEY)
                != production_model.NO_VERSION
            ],
        }
        folder = artifact_utils.get_single_uri(output_dict[standard_component_specs.EVALUATION_KEY])
        with predictions.kept_in(folder):
            super().Do(inputs, output_dict, exec_properties)
        options = json_utils.loads(exec_properties[_SCORECARD_KEY])
        card = scorecard.read_evaluation(
            folder, tuple(options["labels"]), scorecard.SliceBounds(**options["slice_bounds"])
        )
        io_utils.write_string_file(os.path.join(folder, scorecard.FILE_NAME), card.to_json())
        if not card.blessed:
            blessing = artifact_utils.get_single_instance(
                output_dict[standard_component_specs.BLESSING_KEY]
            )
            _withdraw(blessing)


def _withdraw(blessing: types.Artifact) -> None:
    """Marks a blessing as not blessed, whatever TFX made of it."""
    blessed = os.path.join(blessing.uri, constants.BLESSED_FILE_NAME)
    if fileio.exists(blessed):
        fileio.remove(blessed)
    io_utils.write_string_file(os.path.join(blessing.uri, constants.NOT_BLESSED_FILE_NAME), "")
    blessing.set_int_custom_property(
        constants.ARTIFACT_PROPERTY_BLESSED_KEY, constants.NOT_BLESSED_VALUE
    )


class Evaluator(tfx_evaluator.Evaluator):
    """Judges the candidate on the `test` split, beside the model in production."""

    SPEC_CLASS = EvaluatorSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(
        self,
        *,
        examples: BaseChannel,
        model: BaseChannel,
        baseline_model: BaseChannel,
        example_splits: Sequence[str],
        eval_config: tfma.EvalConfig,
        labels: Sequence[str],
        slice_bounds: scorecard.SliceBounds,
    ) -> None:
        """Declares the component.

        Args:
            examples: channel of transformed `Examples`.
            model: channel of `Model`, the candidate.
            baseline_model: channel of `Model`, from ProductionModel.
            example_splits: the splits to judge on.
            eval_config: TFMA's config, with absolute and change thresholds.
            labels: class names; the index in this list is the class id.
            slice_bounds: what every slice with enough examples must reach.
        """
        options: Mapping[str, Any] = {
            "labels": list(labels),
            "slice_bounds": dataclasses.asdict(slice_bounds),
            # Unused, but a change of the metrics' code must not be answered from the cache.
            "code": fingerprint.digest(("evaluator",), {}, "components"),
        }
        # TFX's own constructor does not know the extra parameter, so the base class's is called.
        base_beam_component.BaseBeamComponent.__init__(
            self,
            spec=EvaluatorSpec(
                examples=examples,
                model=model,
                baseline_model=baseline_model,
                example_splits=json_utils.dumps(list(example_splits)),
                eval_config=eval_config,
                fairness_indicator_thresholds=json_utils.dumps(None),
                module_path=extractors.__name__,
                evaluation=Channel(type=standard_artifacts.ModelEvaluation),
                blessing=Channel(type=standard_artifacts.ModelBlessing),
                **{_SCORECARD_KEY: json_utils.dumps(options)},
            ),
        )
